//! Promise: Go programs report as the usual tutorials have them do: OpenTelemetry's SDK over gRPC and HTTP, Elastic's agent with
//! a secret token, and nothing without it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::harness::{Http, built, found, run, span, whole};
use tests::program::{Program, SECRET_TOKEN};

async fn hello(way: &str, compression: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
    let endpoint = if way == "grpc" { trefoil.otlp_grpc } else { trefoil.otlp_http };
    let mut program = built("go-hello/built/go-hello")?;
    program.args([way, &endpoint.to_string()]).env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
    let said = run(&mut program).await?;
    ensure!(said.complaints.is_empty(), "{}", said.complaints);
    let answer = whole(&Http::new()?, trefoil.main, &said.records).await?;
    let kinds =
        [("visit", "internal"), ("HTTP GET", "client"), ("GET /hello", "server"), ("greet", "internal")];
    for (depth, (name, kind)) in kinds.into_iter().enumerate() {
        let span = span(&answer, name)?;
        assert_eq!((&span["depth"], &span["kind"]), (&json!(depth), &json!(kind)), "{way}: {answer}");
    }
    let exemplars = answer["exemplars"].as_array().context("no exemplars")?;
    let own = exemplars.iter().find(|exemplar| exemplar["metric"] == "hello_requests_total");
    assert_eq!(own.context("the counter's")?["labels"]["name"], "Zoë");
    ensure!(exemplars.len() > 1, "those of otelhttp's metrics are there, too: {answer}");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_hello_is_one_trace_over_grpc() -> Result<()> {
    for compression in ["none", "gzip"] {
        hello("grpc", compression).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_hello_is_one_trace_over_http() -> Result<()> {
    for compression in ["none", "gzip"] {
        hello("http", compression).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn elastics_agent_for_go_is_heard_with_the_token_and_told_of_a_wrong_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
    let port = trefoil.receivers.get("Elastic APM").context("its port is not announced")?;
    let http = Http::new()?;
    let agent = |token: &str| -> Result<_> {
        let mut program = built("go-apm/built/go-apm")?;
        program
            .env("ELASTIC_APM_SERVER_URL", format!("http://{port}"))
            .env("ELASTIC_APM_SECRET_TOKEN", token);
        program.env("ELASTIC_APM_SERVICE_NAME", "go-reporter").env("ELASTIC_APM_CLOUD_PROVIDER", "none");
        program.env("ELASTIC_APM_API_REQUEST_TIME", "500ms").env("ELASTIC_APM_METRICS_INTERVAL", "0s");
        Ok(program)
    };

    let said = run(&mut agent(SECRET_TOKEN)?).await?;
    ensure!(said.complaints.is_empty(), "{}", said.complaints);
    let answer = found(&http, trefoil.main, &said.records).await?;
    let (entry, call) = (span(&answer, "GET /buy")?, span(&answer, "SELECT")?);
    assert_eq!((&entry["kind"], &entry["service"]), (&json!("server"), &json!("go-reporter")));
    assert_eq!(entry["attributes"]["labels.order"], "o7");
    assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &entry["span_id"]));
    assert_eq!(call["attributes"]["db.statement"], "select 1");
    assert_eq!((&call["status"]["code"], &call["events"][0]["name"]), (&json!("error"), &json!("exception")));
    assert_eq!(
        (&answer["logs"][0]["line"], &answer["logs"][0]["span_id"]),
        (&json!("errorString: no stock"), &call["span_id"])
    );

    let said = run(&mut agent("another")?).await?;
    ensure!(said.complaints.contains("401"), "the agent says why: {}", said.complaints);
    let trace = said.records[0]["trace_id"].as_str().context("no trace id")?;
    let answer = http.get(&format!("http://{}/api/v1/traces/{trace}", trefoil.main)).await?;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let series = r#"trefoil_refused_requests_total{protocol="elastic_apm",reason="unauthorized"}"#;
    ensure!(trefoil.count(series).await? > 0.0, "it is counted");
    trefoil.stop().await
}
