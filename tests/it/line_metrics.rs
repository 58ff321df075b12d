//! Promise: metrics that `metrics` stages make of lines are stored like any other, so that PromQL answers them without a Prometheus.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, until};
use tests::program::Program;

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const STAGES: &str = "[{logfmt: {mapping: {queue: '', took: ''}}}, {metrics: {\
    lines: {type: Counter, description: Lines of the shop, config: {match_all: true, action: inc}}, \
    depth: {type: Gauge, description: Waiting, source: queue, max_idle_duration: 3s, config: {action: set}}, \
    took_seconds: {type: Histogram, description: Time, source: took, prefix: shop_, config: {buckets: [0.1, 1]}}}}]";

async fn asked(http: &Http, trefoil: &Program, what: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let url = format!("http://{}/prometheus/api/v1/{what}", trefoil.main);
    let url = reqwest::Url::parse_with_params(&url, parameters)?;
    Ok(http.get(url.as_str()).await?.ok_json()?["data"].clone())
}

/// The value of an instant query that gives one series, `None` of one that gives none.
async fn value(http: &Http, trefoil: &Program, query: &str) -> Result<Option<f64>> {
    let data = asked(http, trefoil, "query", &[("query", query)]).await?;
    let series = data["result"].as_array().context("a list")?;
    ensure!(series.len() < 2, "{query}: {data}");
    let value = series.first().and_then(|series| series["value"][1].as_str()).map(str::parse);
    Ok(value.transpose()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_gauges_and_histograms_of_lines_are_asked_in_promql() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let file = folder.path().join("shop.log");
    let collect = format!("files: [{{path: '{}', pipeline_stages: {STAGES}}}]", file.display());
    let sections = format!("store: {{dir: '{}'}}\nmetrics_from_spans: {{interval: 1s}}\n", data.display());
    let trefoil = Program::start_collecting(&data, &collect, &sections).await?;
    let http = Http::new()?;
    let mut log = OpenOptions::new().create(true).append(true).open(&file)?;
    writeln!(log, "queue=7 took=50ms msg=one")?;
    writeln!(log, "queue=4 took=500ms trace_id={TRACE} msg=two")?;
    writeln!(log, "queue=5 took=0.25 msg=three")?;

    for (query, expected) in [
        ("promtail_custom_lines_total", 3.0),
        ("min_over_time(promtail_custom_lines_total[5m])", 0.0),
        ("shop_took_seconds_bucket{le='0.1'}", 1.0),
        ("shop_took_seconds_bucket{le='+Inf'}", 3.0),
        ("shop_took_seconds_sum", 0.8),
    ] {
        let found = until(query, SOON, || async {
            let found = value(&http, &trefoil, query).await?;
            ensure!(found == Some(expected), "{found:?}");
            Ok(())
        });
        found.await?;
    }
    // Rates are told from the first line on: there is a 0 before it.
    let rate = value(&http, &trefoil, "rate(promtail_custom_lines_total[5m]) > 0").await?;
    ensure!(rate.is_some(), "a rate");
    let half = "histogram_quantile(0.5, rate(shop_took_seconds_bucket[5m]))";
    let half = value(&http, &trefoil, half).await?.context("a quantile")?;
    ensure!((0.1..1.0).contains(&half), "{half}");

    let now = jiff::Timestamp::now().as_second();
    let (start, end) = ((now - 60).to_string(), (now + 1).to_string());
    let range = [("start", start.as_str()), ("end", end.as_str()), ("step", "1")];
    let of = |query| [&[("query", query)], &range[..]].concat();
    let found = asked(&http, &trefoil, "query_range", &of("promtail_custom_lines_total")).await?;
    let series = &found["result"][0];
    ensure!(series["metric"]["filename"].as_str() == file.to_str(), "labels of the lines: {found}");
    ensure!(series["values"].as_array().is_some_and(|values| values.iter().any(|v| v[1] == "3")), "{found}");
    let found = asked(&http, &trefoil, "query_exemplars", &of("shop_took_seconds_bucket")).await?;
    ensure!(found[0]["exemplars"][0]["labels"]["trace_id"] == TRACE, "{found}");
    let said = asked(&http, &trefoil, "metadata", &[("metric", "promtail_custom_lines_total")]).await?;
    let said = &said["promtail_custom_lines_total"][0];
    ensure!(said["type"] == "counter" && said["help"] == "Lines of the shop", "{said}");

    // The gauge is not set any more: it ends, long before five minutes have passed, and was there.
    until("the end of the gauge", SOON, || async {
        let (now, ever) = ("promtail_custom_depth", "last_over_time(promtail_custom_depth[5m])");
        let (now, ever) = (value(&http, &trefoil, now).await?, value(&http, &trefoil, ever).await?);
        ensure!(now.is_none() && ever == Some(5.0), "{now:?} {ever:?}");
        Ok(())
    })
    .await?;
    ensure!(value(&http, &trefoil, "promtail_custom_lines_total").await? == Some(3.0), "the counter goes on");
    trefoil.stop().await
}
