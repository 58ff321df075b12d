//! One case of a scenario: what is asked, and whether the answer is the expected one.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::harness::{Answer, Http};

use super::{Clock, holds};

/// What a case asks, for messages.
pub(super) fn name(case: &Value) -> String {
    let asked = ["logql", "traceql", "get"].iter().find_map(|kind| case[kind].as_str());
    asked.map_or_else(|| case.to_string(), str::to_owned)
}

/// Asks, and compares.
pub(super) async fn case(http: &Http, main: SocketAddr, case: &Value, clock: Clock) -> Result<()> {
    let keys = case.as_object().context("no mapping")?;
    let known = [
        "logql",
        "traceql",
        "get",
        "between",
        "at",
        "step",
        "limit",
        "direction",
        "status",
        "error",
        "lines",
        "streams",
        "matrix",
        "vector",
        "traces",
        "series",
        "json",
    ];
    if let Some(key) = keys.keys().map(String::as_str).find(|key| !known.contains(key)) {
        bail!("unknown key `{key}`");
    }
    let expects = ["error", "lines", "streams", "matrix", "vector", "traces", "series", "json"];
    ensure!(keys.keys().filter(|key| expects.contains(&key.as_str())).count() == 1, "expects not one thing");
    if let Some(query) = case["logql"].as_str() {
        let answer = ask_loki(http, main, query, case, clock).await?;
        return loki(&answer, case, clock);
    }
    if let Some(query) = case["traceql"].as_str() {
        let answer = ask_tempo(http, main, query, case, clock).await?;
        return tempo(&answer, case, clock);
    }
    let path = case["get"].as_str().context("neither `logql` nor `traceql` nor `get`")?;
    let answer = http.get(&format!("http://{main}{}", clock.fill(path))).await?;
    if let Some(error) = case["error"].as_str() {
        return refused(&answer, error, case);
    }
    holds(&answer.ok_json()?, &case["json"], clock)
}

/// Seconds of a case, which are 0 to 60 unless it says otherwise.
fn between(case: &Value) -> (f64, f64) {
    (case["between"][0].as_f64().unwrap_or(0.0), case["between"][1].as_f64().unwrap_or(60.0))
}

fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .map_or_else(|| value.as_u64().map(|number| number.to_string()), |text| Some(text.to_owned()))
}

async fn ask(http: &Http, base: &str, parameters: &[(&str, Option<String>)]) -> Result<Answer> {
    let given = parameters.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
    http.get(reqwest::Url::parse_with_params(base, given)?.as_str()).await
}

async fn ask_loki(http: &Http, main: SocketAddr, query: &str, case: &Value, clock: Clock) -> Result<Answer> {
    let query = Some(query.to_owned());
    let (limit, direction) = (text(&case["limit"]), text(&case["direction"]));
    if let Some(at) = case["at"].as_f64() {
        let time = Some(clock.nanos(at).to_string());
        let parameters = [("query", query), ("time", time), ("limit", limit), ("direction", direction)];
        return ask(http, &format!("http://{main}/loki/api/v1/query"), &parameters).await;
    }
    let (start, end) = between(case);
    let parameters = [
        ("query", query),
        ("start", Some(clock.nanos(start).to_string())),
        ("end", Some(clock.nanos(end).to_string())),
        ("step", text(&case["step"])),
        ("limit", limit),
        ("direction", direction.or_else(|| Some("forward".to_owned()))),
    ];
    ask(http, &format!("http://{main}/loki/api/v1/query_range"), &parameters).await
}

fn refused(answer: &Answer, error: &str, case: &Value) -> Result<()> {
    let status = case["status"].as_u64().unwrap_or(400);
    ensure!(u64::from(answer.status) == status, "status {}: {}", answer.status, answer.text());
    ensure!(answer.text().contains(error), "{}, expected `{error}`", answer.text());
    Ok(())
}

fn sorted(value: &Value, key: impl Fn(&Value) -> String) -> Result<Vec<Value>> {
    let mut list = value.as_array().with_context(|| format!("no list: {value}"))?.clone();
    list.sort_by_key(key);
    Ok(list)
}

/// `lines` are texts in the order of time over all streams; `streams`, `matrix` and `vector` are compared in any order.
fn loki(answer: &Answer, case: &Value, clock: Clock) -> Result<()> {
    if let Some(error) = case["error"].as_str() {
        return refused(answer, error, case);
    }
    let body = answer.ok_json()?;
    let (kind, result) = (&body["data"]["resultType"], &body["data"]["result"]);
    if !case["lines"].is_null() {
        ensure!(kind == "streams", "the result is {kind}");
        let streams = result.as_array().context("no list")?;
        let mut lines: Vec<&Value> =
            streams.iter().filter_map(|stream| stream["values"].as_array()).flatten().collect();
        let time = |line: &Value| line[0].as_str().and_then(|time| time.parse::<u64>().ok());
        lines.sort_by_key(|line| time(line));
        if case["direction"] == "backward" {
            lines.reverse();
        }
        let texts: Value = lines.iter().map(|line| line[1].clone()).collect();
        return holds(&texts, &case["lines"], clock);
    }
    let label = |name: &'static str| move |series: &Value| series[name].to_string();
    if !case["streams"].is_null() {
        ensure!(kind == "streams", "the result is {kind}");
        let got = sorted(result, label("stream"))?;
        let texts = |stream: &Value| -> Value {
            let lines = stream["values"].as_array().into_iter().flatten();
            serde_json::json!({
                "labels": stream["stream"],
                "lines": lines.map(|line| line[1].clone()).collect::<Value>(),
            })
        };
        let got: Vec<Value> = got.iter().map(texts).collect();
        return same(&got, &sorted(&case["streams"], label("labels"))?, clock);
    }
    for (wanted, values) in [("matrix", "values"), ("vector", "value")] {
        if case[wanted].is_null() {
            continue;
        }
        ensure!(kind == wanted, "the result is {kind}: {result}");
        let points = |value: &Value| -> Value {
            let second = |point: &Value| point[0].as_f64().map(|time| time - clock.zero as f64);
            let point = |point: &Value| serde_json::json!([second(point), point[1]]);
            value
                .as_array()
                .filter(|_| wanted == "matrix")
                .map_or_else(|| value[1].clone(), |points| points.iter().map(point).collect())
        };
        let got = sorted(result, label("metric"))?;
        let got: Vec<Value> = got
            .iter()
            .map(|series| serde_json::json!({"labels": series["metric"], "values": points(&series[values])}))
            .collect();
        return same(&got, &sorted(&case[wanted], label("labels"))?, clock);
    }
    bail!("nothing is expected of a log query")
}

/// Label sets have to be equal, not only contain.
fn same(got: &[Value], wanted: &[Value], clock: Clock) -> Result<()> {
    let labels = |list: &[Value]| -> Value { list.iter().map(|entry| entry["labels"].clone()).collect() };
    ensure!(labels(got) == labels(wanted), "series {}, expected {}", labels(got), labels(wanted));
    got.iter()
        .zip(wanted)
        .try_for_each(|(got, wanted)| holds(got, wanted, clock).with_context(|| got.to_string()))
}

async fn ask_tempo(http: &Http, main: SocketAddr, query: &str, case: &Value, clock: Clock) -> Result<Answer> {
    let (start, end) = between(case);
    let second = |second: f64| Some((clock.nanos(second) / 1_000_000_000).to_string());
    let path = if case["series"].is_null() { "search" } else { "metrics/query_range" };
    let parameters = [
        ("q", Some(query.to_owned())),
        ("start", second(start)),
        ("end", second(end)),
        ("step", text(&case["step"])),
        ("limit", text(&case["limit"])),
        ("spss", Some("100".to_owned())),
    ];
    ask(http, &format!("http://{main}/tempo/api/{path}"), &parameters).await
}

/// `traces` are the names of the matched spans of each trace, newest trace first, spans in any order; `series` are labels and
/// `[second, value]` of each sample that is not 0.
fn tempo(answer: &Answer, case: &Value, clock: Clock) -> Result<()> {
    if let Some(error) = case["error"].as_str() {
        return refused(answer, error, case);
    }
    let body = answer.ok_json()?;
    if !case["traces"].is_null() {
        let names = |trace: &Value| -> Value {
            let sets = trace["spanSets"].as_array().into_iter().flatten();
            let spans = sets.filter_map(|set| set["spans"].as_array()).flatten();
            let mut names: Vec<&str> = spans.filter_map(|span| span["name"].as_str()).collect();
            names.sort_unstable();
            names.into()
        };
        let got: Value = body["traces"].as_array().into_iter().flatten().map(names).collect();
        return holds(&got, &case["traces"], clock);
    }
    let series = |series: &Value| -> Value {
        let labels = series["labels"].as_array().into_iter().flatten();
        let value =
            |label: &Value| label["value"].as_object().and_then(|value| value.values().next().cloned());
        let labels: serde_json::Map<String, Value> =
            labels.filter_map(|label| Some((label["key"].as_str()?.to_owned(), value(label)?))).collect();
        let time = |sample: &Value| sample["timestampMs"].as_str().and_then(|time| time.parse::<f64>().ok());
        let samples = series["samples"].as_array().into_iter().flatten();
        let samples = samples.filter(|sample| sample["value"].as_f64().is_some_and(|value| value != 0.0));
        let samples: Value = samples
            .map(|sample| {
                serde_json::json!([time(sample).map(|ms| ms / 1e3 - clock.zero as f64), sample["value"]])
            })
            .collect();
        serde_json::json!({"labels": labels, "values": samples})
    };
    let got: Vec<Value> = body["series"].as_array().into_iter().flatten().map(series).collect();
    let label = |series: &Value| series["labels"].to_string();
    same(&sorted(&got.into(), label)?, &sorted(&case["series"], label)?, clock)
}
