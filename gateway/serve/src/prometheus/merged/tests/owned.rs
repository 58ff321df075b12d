//! Series that Trefoil makes, of which the server has others under the same names; and what is scraped here and there.

use std::time::Duration;

use correlate::{CorrelateOptions, Exemplars};
use parsers::record::{Exemplar, ExemplarOrigin, Series, TraceId};
use store::read::{ExemplarLimits, ExemplarRead, MetricRead, StoredExemplars};

use super::*;
use crate::scrape::{ScrapeTarget, ScrapeTargetsBody, Scraping};

const CALLS: &str = "traces_spanmetrics_calls_total";

fn set(name: &str, label: &str, value: &str) -> Labels {
    Labels::new([("__name__", name), (label, value)])
}

fn meets(labels: &Labels, selectors: &[Vec<Matcher>]) -> bool {
    selectors.is_empty() || selectors.iter().any(|all| all.iter().all(|m| m.matches(labels)))
}

/// Calls of one service, and another counter.
struct Here;

impl SampleRead for Here {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        _: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let sets = self.label_sets(&[matchers.to_vec()], window)?;
        let samples = vec![Sample { time: 1_000_000_000_000, value: 1.0 }];
        let series = |labels| SeriesSamples { labels, samples: samples.clone(), histograms: Vec::new() };
        Ok(sets.into_iter().map(series).collect())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let all = [set(CALLS, "service", "ours"), set("b_total", "service", "x")];
        Ok(all.into_iter().filter(|labels| meets(labels, selectors)).map(Arc::new).collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

impl ExemplarRead for Here {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        _: Window,
        _: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let ours = exemplar(set(CALLS, "service", "ours"), "a");
        Ok(if meets(&ours.series, selectors) { vec![ours].into() } else { StoredExemplars::default() })
    }
}

fn exemplar(series: Labels, trace: &str) -> Exemplar {
    Exemplar {
        series: Arc::new(series),
        labels: Vec::new(),
        value: 1.0,
        time: 1_000_000_000_000,
        trace_id: TraceId::from_hex(trace.as_bytes()).ok(),
        span_id: None,
        origin: ExemplarOrigin::Application,
    }
}

/// Has calls of another service, which nobody asked Trefoil about, and the other counter as well.
struct There;

#[async_trait::async_trait]
impl Forward for There {
    async fn forward(
        &self,
        _: Method,
        path_and_query: &str,
        _: &HeaderMap,
        _: Bytes,
    ) -> Result<Response, ForwardFailure> {
        let data = if path_and_query.contains("/series") {
            json!([{ "__name__": CALLS, "service": "theirs" }, { "__name__": "b_total", "service": "theirs" }])
        } else if path_and_query.contains("/targets") {
            json!({ "activeTargets": [{ "scrapeUrl": "http://there" }], "droppedTargets": [] })
        } else {
            json!(["theirs"])
        };
        Ok(json!({ "status": "success", "data": data }).to_string().into_response())
    }

    async fn samples(
        &self,
        matchers: &[Matcher],
        _: Window,
        _: SampleLimits,
        _: Option<&str>,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let all = [set(CALLS, "service", "theirs"), set("b_total", "service", "theirs")];
        let wanted = all.into_iter().filter(|labels| meets(labels, &[matchers.to_vec()]));
        let samples = vec![Sample { time: 1_000_000_000_000, value: 7.0 }];
        let series = |labels| SeriesSamples {
            labels: Arc::new(labels),
            samples: samples.clone(),
            histograms: Vec::new(),
        };
        Ok(wanted.map(series).collect())
    }
}

#[async_trait::async_trait]
impl MetricRead for There {
    fn name(&self) -> &'static str {
        "there"
    }
    async fn series(&self, _: &[String], _: Window) -> Result<Vec<Labels>, ReadError> {
        Ok(Vec::new())
    }
    async fn range(&self, _: &str, _: Window, _: Duration) -> Result<Vec<Series>, ReadError> {
        Ok(Vec::new())
    }
    async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
        Ok(vec![
            exemplar(set(CALLS, "service", "theirs"), "b"),
            exemplar(set("b_total", "service", "theirs"), "c"),
        ])
    }
}

impl Scraping for Here {
    fn targets(&self) -> ScrapeTargetsBody {
        let target =
            ScrapeTarget { job: "shop".into(), url: "http://here".into(), ..ScrapeTarget::default() };
        ScrapeTargetsBody { targets: vec![target], ..ScrapeTargetsBody::default() }
    }
}

async fn data(path: &str) -> Json {
    let options = CorrelateOptions::default();
    let state = State {
        samples: Arc::new(Here),
        prometheus: Some(Arc::new(There)),
        scraping: Arc::new(Here),
        exemplars: Exemplars::new(Arc::new(Nothing), Arc::new(Here), Some(Arc::new(There)), &options),
        ..state(Arc::new(Nothing), Arc::new(Nothing))
    };
    let path = format!("/prometheus/api/v1/{path}").replace('{', "%7B").replace('}', "%7D");
    let path = path.replace('"', "%22").replace('+', "%2B").replace('|', "%7C");
    let (status, body) = ask(state, &path, &[]).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str::<Json>(&body).unwrap()["data"].take()
}

/// `name service` of each series under a key, or of the list itself.
fn shown(list: &Json, key: &str) -> Vec<String> {
    let one = |one: &Json| {
        let labels = if key.is_empty() { one } else { &one[key] };
        let text = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("__name__").chars().take(7).collect::<String>(), text("service"))
    };
    let mut all: Vec<String> = list.as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_lists_and_exemplars_agree_on_whose_the_series_of_spans_are() {
    let calls = format!("match[]={CALLS}");
    let both = r#"{__name__=~"traces_.+|b_total"}"#;
    let all = ["b_total theirs", "b_total x", "traces_ ours"];
    for (selector, expected) in [(CALLS, &["traces_ ours"][..]), (both, &all)] {
        let found = data(&format!("query?query={selector}&time=1000")).await;
        assert_eq!(shown(&found["result"], "metric"), expected, "{selector}");
        let found = data(&format!("series?match[]={selector}")).await;
        assert_eq!(shown(&found, ""), expected, "{selector}");
    }
    let theirs = data(&format!("query?query={CALLS}{{service=\"theirs\"}}&time=1000")).await;
    assert_eq!(theirs["result"], json!([]), "a name is of one of both, whatever else is asked");
    for (path, expected) in [
        (format!("label/service/values?{calls}"), json!(["ours"])),
        (format!("labels?{calls}"), json!(["__name__", "service"])),
        ("label/service/values?match[]=b_total".to_owned(), json!(["theirs", "x"])),
    ] {
        assert_eq!(data(&path).await, expected, "{path}");
    }
    let found = data(&format!("query_exemplars?query={CALLS}")).await;
    assert_eq!(shown(&found, "seriesLabels"), ["traces_ ours"]);
    let found = data(&format!("query_exemplars?query={both}")).await;
    assert_eq!(shown(&found, "seriesLabels"), ["b_total theirs", "traces_ ours"]);
}

#[tokio::test]
async fn targets_are_those_of_both() {
    for (path, expected) in [
        ("targets", &["http://there", "http://here"][..]),
        ("targets?state=active&scrapePool=shop", &["http://there", "http://here"]),
        ("targets?scrapePool=other", &["http://there"]),
        ("targets?state=dropped", &["http://there"]),
    ] {
        let found = data(path).await;
        let urls: Vec<&str> = found["activeTargets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| target["scrapeUrl"].as_str().unwrap())
            .collect();
        assert_eq!(urls, expected, "{path}");
    }
}
