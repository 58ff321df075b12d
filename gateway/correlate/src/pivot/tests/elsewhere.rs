//! What has nothing in the window: when it had, and what became of it.

use std::ops::ControlFlow;

use parsers::record::Span;
use store::read::{
    Calls, Connection, EdgeCalls, Fate, OperationCalls, ScanReport, Sketch, SpanSelect, TraceRead,
    TraceRecords,
};
use store::{KeepTraces, Rule, SamplingOptions, ValueMatch, When};

use super::*;
use crate::AbsentReason;

fn why(found: &Related, signal: AbsentSignal) -> &crate::Absence {
    let of: Vec<_> = found.absent.iter().filter(|absent| absent.signal == signal).collect();
    assert_eq!(of.len(), 1, "{:?}", found.absent);
    of[0]
}

#[tokio::test]
async fn what_was_there_at_another_time_says_when() {
    let window = Window { start: at(5_000), end: at(5_060) };
    let name = WorkloadName::parse("ns/shop").unwrap();
    let mut world = shop();
    for log in &mut world.logs {
        log.labels = Arc::new(log.labels.with("service_name", "shop"));
    }
    for start in [Start::Service { name: "shop".to_owned(), window }, Start::Workload { name, window }] {
        let found = related(&world, start.clone(), None).await;
        for signal in [AbsentSignal::Spans, AbsentSignal::Logs] {
            let absent = why(&found, signal);
            assert_eq!(absent.reason, AbsentReason::OutsideWindow, "{start:?}");
            // The newest of both is of the twentieth request.
            let newest = at(200) + if signal == AbsentSignal::Logs { 2 } else { 0 };
            let newest = parsers::record::format_rfc3339(newest);
            assert!(absent.detail.contains(&newest), "{newest}: {absent:?}");
        }
    }
    let found = related(&world, Start::Service { name: "nobody".to_owned(), window }, None).await;
    assert_eq!(why(&found, AbsentSignal::Spans).reason, AbsentReason::NoMatch);
}

/// Counted, and dropped by a rule.
struct Dropped(World);

impl TraceRead for Dropped {
    fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
        self.0.trace(id, limit)
    }
    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        self.0.scan_traces(select, visit)
    }
    fn services(&self, window: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        self.0.services(window)
    }
    fn sampled_out(&self, id: TraceId) -> Option<Fate> {
        let fate = Fate::SampledOut { rule: "health".into(), decided: at(10) };
        (id.matches(trace_id(77)).is_some()).then_some(fate)
    }
    fn calls(&self, window: Window) -> Result<Calls, ReadError> {
        let operation = OperationCalls {
            service: "hc".into(),
            name: "GET /health".into(),
            kind: parsers::record::SpanKind::Server,
            entry: true,
            calls: 12,
            errors: 0,
            latency: Sketch::default(),
        };
        let edge = EdgeCalls {
            client: "user".into(),
            server: "hc".into(),
            connection: Connection::User,
            calls: 12,
            failed: 0,
            client_latency: Sketch::default(),
            server_latency: Sketch::default(),
            queue_latency: Sketch::default(),
            examples: vec![trace_id(77)],
        };
        Ok(Calls {
            window,
            operations: vec![operation],
            edges: vec![edge],
            unpaired: 0,
            pending: 0,
            damaged_blocks: 0,
            begins: None,
        })
    }
}

#[tokio::test]
async fn of_a_service_whose_traces_sampling_dropped_the_rule_is_told() {
    let (world, options) = (Arc::new(World::default()), CorrelateOptions::default());
    let dropped = Arc::new(Dropped(World::default()));
    let correlator = Correlator::new(dropped.clone(), None, options.clone());
    let exemplars = Exemplars::new(dropped, world.clone(), Some(world.held()), &options);
    let pivot = Pivot::new(Arc::new(correlator), exemplars, world.clone(), world);
    let found = pivot.related(service("hc"), None, LIMIT).await.unwrap();
    let absent = why(&found, AbsentSignal::Spans);
    assert_eq!(absent.reason, AbsentReason::SampledOut);
    assert!(absent.detail.contains("12 spans") && absent.detail.contains("`health`"), "{absent:?}");
}

#[tokio::test]
async fn rules_of_sampling_are_told_of_a_service_of_which_nothing_is_kept() {
    let rule = |name: &str, service: &str, keep| Rule {
        name: name.into(),
        when: When { service: Some(ValueMatch::Equal(service.to_owned())), ..When::default() },
        keep: KeepTraces::Share(keep),
    };
    let sampling = SamplingOptions {
        wait: Duration::from_secs(30),
        rules: vec![rule("health", "hc", 0.0), rule("few", "busy", 0.01)],
    };
    let arrived = labels(&[("__name__", "traces_spanmetrics_calls_total"), ("service", "busy")]);
    let world = Arc::new(World { series: vec![arrived], ..World::default() });
    let options = CorrelateOptions { sampling: Some(sampling), ..CorrelateOptions::default() };
    let correlator = Arc::new(Correlator::new(world.clone(), None, options.clone()));
    let exemplars = Exemplars::new(world.clone(), world.clone(), Some(world.held()), &options);
    let pivot = Pivot::new(correlator, exemplars, world.clone(), world);
    for (name, expected) in
        [("hc", Some("the rule `health`")), ("busy", Some("(`health`, `few`)")), ("nobody", None)]
    {
        let found = pivot.related(service(name), None, LIMIT).await.unwrap();
        let absent = why(&found, AbsentSignal::Spans);
        assert_eq!(absent.reason == AbsentReason::SampledOut, expected.is_some(), "{absent:?}");
        assert!(expected.is_none_or(|part| absent.detail.contains(part)), "{absent:?}");
    }
}
