//! Provisioning against a Grafana that only keeps what it is told, and files on a disk.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use clap::Parser;
use serde_json::Value;

use super::{Access, Arguments, Difference, Grafana, differences, generated, write};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(line: &[&str]) -> Result<Arguments, String> {
    let line = ["provision"].iter().chain(line);
    Line::try_parse_from(line).map(|line| line.arguments).map_err(|error| error.to_string())
}

#[test]
fn files_are_written_as_grafana_wants_them_and_checked_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let files = generated(&arguments(&["--out", out]).unwrap().target()).unwrap();
    assert!(files.keys().any(|name| name == "datasources/trefoil.yaml"));
    let provider: Value = serde_saphyr::from_str(&files["dashboards/trefoil.yaml"]).unwrap();
    assert_eq!(provider["providers"][0]["type"], "file");
    assert_eq!(differences(folder.path(), &files).unwrap().len(), files.len(), "nothing is there yet");
    write(folder.path(), &files).unwrap();
    assert_eq!(differences(folder.path(), &files).unwrap(), []);
    let changed = folder.path().join("datasources/trefoil.yaml");
    std::fs::write(&changed, "apiVersion: 1\n").unwrap();
    assert_eq!(differences(folder.path(), &files).unwrap(), [Difference::Stale(changed)]);
}

#[test]
fn what_cannot_be_meant_is_told_with_what_was_expected() {
    for (line, told) in [
        (&["--out", "x", "--url", "http://grafana"][..], "cannot be used with"),
        (&[], "--out"),
        (
            &["--out", "x", "--beside", "lokki,a,A,http://l"],
            "expected loki, tempo, jaeger, zipkin, prometheus",
        ),
        (&["--out", "x", "--beside", "loki,a b,A,http://l"], "letters, digits"),
        (&["--out", "x", "--beside", "loki,trefoil-loki,A,http://l"], "one of Trefoil's own"),
        (&["--out", "x", "--beside", "loki,a,A,l:3100"], "http://"),
        (&["--out", "x", "--beside", "loki,a"], "KIND,UID,NAME,URL"),
        (&["--out", "x", "--instances", "grafana"], "LABEL=VALUE"),
        (&["--out", "x", "--token", "a", "--token-env", "b"], "cannot be used with"),
        (&["--url", "http://grafana", "--check"], "cannot be used with"),
    ] {
        let said = arguments(line).unwrap_err();
        assert!(said.contains(told), "{line:?}: {said}");
    }
    let misfit = arguments(&["--url", "http://grafana", "--token-env", "T"]).unwrap();
    assert!(generated(&misfit.target()).is_err());
}

/// What a Grafana was told: method, path and body.
type Told = Arc<Mutex<Vec<(String, String, Value)>>>;

/// Knows one data source already.
async fn grafana(
    State(told): State<Told>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    if headers.get("authorization").is_none_or(|value| value != "Bearer letmein") {
        return (StatusCode::UNAUTHORIZED, "{\"message\":\"Unauthorized\"}").into_response();
    }
    if method == Method::GET {
        let known = path == "/api/datasources/uid/trefoil-tempo";
        return if known { StatusCode::OK } else { StatusCode::NOT_FOUND }.into_response();
    }
    told.lock().unwrap().push((method.to_string(), path, serde_json::from_slice(&body).unwrap()));
    StatusCode::OK.into_response()
}

async fn started() -> (String, Told) {
    let told = Told::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(grafana).with_state(Arc::clone(&told));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, told)
}

#[tokio::test]
async fn grafana_is_told_of_everything_and_what_it_knows_is_renewed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, told) = started().await;
    let target = arguments(&["--url", &url, "--trefoil", "http://trefoil:8080"]).unwrap().target();
    let access = Access::from_environment(|name| (name == "GRAFANA_TOKEN").then(|| "letmein".to_owned()));
    let mut done = Vec::new();
    Grafana::new(&url, access).provision(&target, |what| done.push(what)).await.unwrap();
    let told = told.lock().unwrap();
    let calls = |method: &str, path: &str| told.iter().filter(|t| t.0 == method && t.1 == path).count();
    assert_eq!(calls("POST", "/api/datasources"), 4);
    assert_eq!(calls("PUT", "/api/datasources/uid/trefoil-tempo"), 1);
    assert_eq!(calls("POST", "/api/folders"), 1);
    assert_eq!(calls("POST", "/api/dashboards/db"), dashboards::dashboards(&target).len());
    assert!(told.iter().filter(|t| t.1 == "/api/dashboards/db").all(|t| t.2["folderUid"] == "trefoil"));
    assert_eq!(done.len(), told.len() - 1, "the folder goes without saying");
}

#[tokio::test]
async fn a_grafana_that_refuses_is_quoted_with_what_would_mend_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, _) = started().await;
    let target = arguments(&["--url", &url]).unwrap().target();
    let error =
        Grafana::new(&url, Access::Anonymous).provision(&target, |_| {}).await.unwrap_err().to_string();
    assert!(
        error.contains("401") && error.contains("Unauthorized") && error.contains("GRAFANA_TOKEN"),
        "{error}"
    );
}
