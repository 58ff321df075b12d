//! What a token may send at most, and what browsers may do with answers.

use anyhow::{Result, ensure};
use reqwest::{Body, Client, Method};
use tests::harness::{Http, until};

use super::{READ, access, bearer, start, text, token};

const SLOW: &str = "trefoil_of_a_sender_with_few_requests";
const THIN: &str = "trefoil_of_a_sender_with_few_bytes";
const SMALL: &str = "trefoil_of_a_sender_of_small_bodies";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_over_its_rate_is_told_when_to_come_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Http::new()?;
    let http = Client::new();
    let more = [
        token("slow", "ingest", SLOW, ", limits: {requests_per_second: 2}")?,
        token("thin", "ingest", THIN, ", limits: {bytes_per_second: 1000}")?,
        token("small", "ingest", SMALL, ", limits: {max_body_bytes: 100}")?,
    ];
    let trefoil = start(folder.path(), &access(&format!(", {}", more.join(", ")))?, "").await?;
    let url = format!("http://{}/v1/logs", trefoil.main);
    let send = async |token: &str, media: &str, body: Body| {
        let request = http.post(&url).header("content-type", media).header("authorization", bearer(token));
        anyhow::Ok(request.body(body).send().await?)
    };
    let json = "application/json";
    let mut refused = Vec::new();
    for _ in 0..20 {
        let answer = send(SLOW, json, "{}".into()).await?;
        if answer.status() == 429 {
            refused.push(answer.headers()["retry-after"].to_str()?.parse::<u64>()?);
        }
    }
    ensure!(!refused.is_empty() && refused.iter().all(|wait| *wait == 1), "{refused:?}");
    let grpc = until("a refusal over gRPC", std::time::Duration::from_secs(30), || async {
        let answer = send(SLOW, "application/grpc", Body::from("")).await?;
        ensure!(
            answer.headers().get("grpc-status").is_some_and(|code| code == "8"),
            "{:?}",
            answer.headers()
        );
        Ok(answer)
    });
    ensure!(grpc.await?.headers().contains_key("google.rpc.retryinfo-bin"));

    // Spaces are JSON, too: 5 kB at once are let in, and those after it wait for them.
    let answer = send(THIN, json, format!("{{{}}}", " ".repeat(5000)).into()).await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let answer = send(THIN, json, "{}".into()).await?;
    ensure!(answer.status() == 429, "{}", answer.status());
    let wait: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
    ensure!((2..=5).contains(&wait), "{wait}");

    let large = format!("{{{}}}", " ".repeat(200));
    let chunked =
        |said: &str| Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>(said.to_owned())]));
    for body in [large.clone().into(), chunked(&large)] {
        let answer = send(SMALL, json, body).await?;
        ensure!(answer.status() == 413, "{}", answer.status());
        ensure!(text(answer).await?.contains("100 bytes"));
    }
    for body in ["{}".into(), chunked("{}")] {
        ensure!(send(SMALL, json, body).await?.status() == 200);
    }
    // Others are not held up by it.
    ensure!(send(super::INGEST, json, "{}".into()).await?.status() == 200);
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_read_nothing_unless_they_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Http::new()?;
    let http = Client::new();
    for (server, grafana, other) in [
        ("", None, None),
        ("cors: {origins: ['https://grafana.example.com']}", Some("https://grafana.example.com"), None),
        ("cors: {origins: ['*']}", Some("*"), Some("*")),
    ] {
        let trefoil = start(folder.path(), &access("")?, server).await?;
        for (base, path) in [(trefoil.main, "/loki/api/v1/labels"), (trefoil.otlp_http, "/v1/traces")] {
            let url = format!("http://{base}{path}");
            for (origin, expected) in
                [("https://grafana.example.com", grafana), ("https://evil.example.com", other)]
            {
                let asked = http
                    .request(Method::OPTIONS, &url)
                    .header("origin", origin)
                    .header("access-control-request-method", "POST")
                    .header("access-control-request-headers", "authorization,content-type");
                let answers = [asked.send().await?, http.get(&url).header("origin", origin).send().await?];
                for answer in &answers {
                    let said = answer.headers().get("access-control-allow-origin");
                    ensure!(
                        said.map(|said| said.as_bytes()) == expected.map(str::as_bytes),
                        "{url} {origin} {said:?}"
                    );
                    ensure!(!answer.headers().contains_key("access-control-allow-credentials"));
                }
                let headers = answers[0].headers().get("access-control-allow-headers");
                ensure!(
                    expected.is_none()
                        || headers.is_some_and(|said| said.as_bytes().starts_with(b"authorization"))
                );
            }
        }
        trefoil.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_do_nothing_with_answers_but_show_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Http::new()?;
    let http = Client::new();
    let trefoil = start(folder.path(), &access("")?, "").await?;
    for path in ["/healthz", "/openapi.json", "/metrics", "/nowhere"] {
        for shown in [READ, "somebody-else"] {
            let request =
                http.get(format!("http://{}{path}", trefoil.main)).header("authorization", bearer(shown));
            let answer = request.send().await?;
            let said = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
            ensure!(said("x-content-type-options") == Some("nosniff"), "{path}");
            ensure!(said("referrer-policy") == Some("no-referrer"), "{path}");
            ensure!(
                said("content-security-policy").is_some_and(|text| text.contains("frame-ancestors 'none'"))
            );
        }
    }
    trefoil.stop().await
}
