//! Libraries that report to Zipkin, Jaeger, Elastic APM and Loki: `tests/clients/reporters` for Python's and `node-reporters` for Node's,
//! a script a library.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Http, client, run, until};

/// From a datagram to a look-up.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
/// What protocols that count in microseconds cannot say.
const MICROSECOND: u64 = 1000;

/// Runs a script of one of those two folders to its end. The spans that it says it reported, one a line.
pub async fn report(script: &str, args: &[&str]) -> anyhow::Result<Vec<Value>> {
    let python = Path::new(script).extension().is_some_and(|kind| kind == "py");
    let folder = if python { "reporters" } else { "node-reporters" };
    Ok(run(client(&format!("{folder}/{script}"))?.args(args)).await?.records)
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Looks up the trace of these reported spans until all are there: ids and names equal, times to the microsecond. The answer.
pub async fn found(http: &Http, main: SocketAddr, reported: &[Value]) -> anyhow::Result<Value> {
    let trace = reported.first().and_then(|span| span["trace_id"].as_str()).context("no trace id")?;
    let url = format!("http://{main}/api/v1/traces/{trace}");
    until(&format!("the {} spans of {trace}", reported.len()), FOUND_WITHIN, || async {
        let answer = http.get(&url).await?.ok_json()?;
        let spans = answer["spans"].as_array().context("no spans")?;
        ensure!(spans.len() == reported.len(), "{} spans: {answer}", spans.len());
        for wanted in reported {
            let span = span(&answer, wanted["name"].as_str().unwrap_or_default())?;
            ensure!(span["span_id"] == wanted["span_id"], "{span} was reported as {wanted}");
            for (here, there) in [("start_unix_nano", "start"), ("duration_nano", "duration")] {
                if let Some(wanted) = number(&wanted[there]) {
                    let got = number(&span[here]).context("no number")?;
                    ensure!(got.abs_diff(wanted) <= MICROSECOND, "{here} of {span}, reported as {wanted}");
                }
            }
        }
        Ok(answer)
    })
    .await
}

/// The span of an answer that has this name.
pub fn span<'a>(answer: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let spans = answer["spans"].as_array().context("no spans")?;
    spans.iter().find(|span| span["name"] == name).with_context(|| format!("no span `{name}` in {answer}"))
}
