use std::sync::Arc;

use parsers::record::{Labels, TENANT_LABEL};

use crate::fakes::{Nothing, ask, state};
use crate::{Metrics, SpanMetrics, State};

struct Text(&'static str);

impl Metrics for Text {
    fn text(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

impl SpanMetrics for Text {
    fn text(&self, shown: &dyn Fn(&Labels) -> bool) -> Option<String> {
        shown(&Labels::new([("service", "shop")])).then(|| self.0.to_owned())
    }
}

/// A series of each tenant, and of none.
struct Tenants;

impl SpanMetrics for Tenants {
    fn text(&self, shown: &dyn Fn(&Labels) -> bool) -> Option<String> {
        let of =
            ["red", "blue", ""].into_iter().filter(|tenant| shown(&Labels::new([(TENANT_LABEL, *tenant)])));
        Some(of.map(|tenant| format!("calls_of_{tenant} 1\n")).chain(["# EOF\n".to_owned()]).collect())
    }
}

#[tokio::test]
async fn whoever_names_tenants_gets_the_series_of_their_spans_alone() {
    let state = State {
        metrics: Arc::new(Text("own 1\n# EOF\n")),
        span_metrics: Some(Arc::new(Tenants)),
        ..state(Arc::new(Nothing), Arc::new(Nothing))
    };
    for (tenants, expected) in [
        ("red", "calls_of_red 1\n"),
        ("red|blue", "calls_of_red 1\ncalls_of_blue 1\n"),
        ("green", ""),
        ("", "calls_of_red 1\ncalls_of_blue 1\ncalls_of_ 1\n"),
    ] {
        let headers = [("x-scope-orgid", tenants), ("user-agent", "Prometheus/3.1.0")];
        let alone = ask(state.clone(), "/metrics/spans", &headers).await;
        assert_eq!((alone.0.as_u16(), alone.1), (200, format!("{expected}# EOF\n")), "{tenants}");
        let both = ask(state.clone(), "/metrics", &headers).await;
        assert_eq!(both.1, format!("own 1\n{expected}# EOF\n"), "{tenants}");
    }
    let bad = ask(state, "/metrics/spans", &[("x-scope-orgid", "a b?")]).await;
    assert_eq!(bad.0.as_u16(), 400);
}

#[tokio::test]
async fn metrics_have_the_series_of_spans_but_for_a_trefoil_that_has_them_itself() {
    let own = Arc::new(Text("own 1\n# EOF\n"));
    let of_spans = "traces_spanmetrics_calls_total 2 # {trace_id=\"1\"} 1 1\n# EOF\n";
    let state = State {
        metrics: own,
        span_metrics: Some(Arc::new(Text(of_spans))),
        ..state(Arc::new(Nothing), Arc::new(Nothing))
    };
    let (both, alone) = (format!("own 1\n{of_spans}"), "own 1\n# EOF\n");
    for (path, agent, expected) in [
        ("/metrics", "Prometheus/3.1.0", both.as_str()),
        ("/metrics?spans=false", "Prometheus/3.1.0", alone),
        ("/metrics", "Trefoil/0.1.0", alone),
        ("/metrics/spans", "Trefoil/0.1.0", of_spans),
    ] {
        let (status, text) = ask(state.clone(), path, &[("user-agent", agent)]).await;
        assert_eq!((status.as_u16(), text.as_str()), (200, expected), "{path} {agent}");
    }
    let off = State { span_metrics: None, ..state };
    assert_eq!(ask(off, "/metrics", &[]).await.1, alone);
}
