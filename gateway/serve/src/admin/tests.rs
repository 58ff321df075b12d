use std::sync::Arc;

use crate::fakes::{Nothing, ask, state};
use crate::{Metrics, State};

struct Text(&'static str);

impl Metrics for Text {
    fn text(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
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
