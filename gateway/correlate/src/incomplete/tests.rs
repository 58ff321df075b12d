use std::sync::Arc;

use parsers::record::{Resource, Scope, Span, SpanId, Spelling, SpellingKind, Status, TraceId};
use store::read::{ReadError, ScanReport, SpanSelect, SpanView, TraceRecords};

use super::*;
use crate::tree;

/// Sends spans of these services, each in a namespace.
struct Sends(&'static [(&'static str, &'static str)]);

impl TraceRead for Sends {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        _: &SpanSelect,
        _: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }
    fn running(
        &self,
        select: &RunningSelect,
        visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        for (service, namespace) in
            self.0.iter().filter(|(name, _)| select.services.iter().any(|s| s == name))
        {
            if visit(&(&of_namespace(span(9, 0, 0, 1, service, SpanKind::Server, ""), namespace)).into())
                .is_break()
            {
                break;
            }
        }
        Ok(true)
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

fn span(id: u64, parent: u64, start: u64, end: u64, service: &str, kind: SpanKind, peer: &str) -> Span {
    let pair = |key: &str, value: &str| (key.to_owned(), Value::Str(value.to_owned()));
    Span {
        trace_id: TraceId::new(7, Spelling::new(SpellingKind::Hex(32))).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: "op".to_owned(),
        kind,
        start,
        end,
        attributes: if peer.is_empty() { Vec::new() } else { vec![pair("server.address", peer)] },
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: vec![pair("service.name", service)] }),
        scope: Arc::new(Scope::default()),
    }
}

fn of_namespace(span: Span, namespace: &str) -> Span {
    let mut resource = (*span.resource).clone();
    resource.attributes.push(("k8s.namespace.name".to_owned(), Value::Str(namespace.to_owned())));
    Span { resource: Arc::new(resource), ..span }
}

#[test]
fn a_called_service_that_sends_spans_elsewhere_is_told_to_be_silent() {
    let call = |peer| vec![span(1, 0, 0, 9, "shop", SpanKind::Client, peer)];
    let told = |spans, sends| silent(&tree::build(spans).nodes, &Sends(sends));
    let found = told(call("payment.shop.svc:8080"), &[("payment", "shop")]);
    assert!(found[0].detail.contains("`payment` is silent"), "{found:?}");
    assert!(told(call("payment.shop.svc:8080"), &[]).is_empty(), "nobody knows that it sends spans");
    assert!(told(call("10.0.0.7"), &[("10", "shop")]).is_empty(), "an address is no service");
    let mut answered = call("payment");
    answered.push(span(2, 1, 1, 2, "payment", SpanKind::Server, ""));
    assert!(told(answered, &[("payment", "shop")]).is_empty());
}

#[test]
fn who_was_called_is_asked_for_by_its_whole_name_and_in_its_namespace() {
    let of = |key: &str, peer: &str, sends| {
        let mut call = of_namespace(span(1, 0, 0, 9, "shop", SpanKind::Client, ""), "shop");
        call.attributes.push((key.to_owned(), Value::Str(peer.to_owned())));
        silent(&tree::build(vec![call]).nodes, &Sends(sends)).len()
    };
    let cart = &[("cart", "other"), ("cart", "shop")];
    for address in
        ["cart", "cart.shop", "cart.shop.svc.cluster.local", "cart-0.cart.shop.svc.cluster.local:80"]
    {
        assert_eq!(of("server.address", address, &cart[..1]), 0, "{address}: another namespace's");
        assert_eq!(of("server.address", address, cart), 1, "{address}");
    }
    assert_eq!(of("server.address", "cart.example.com", cart), 0, "outside of the cluster");
    let orders = &[("Contoso.Orders", "other"), ("Contoso", "shop")];
    assert_eq!(of("peer.service", "Contoso.Orders", &orders[..1]), 1);
    assert_eq!(of("peer.service", "Contoso.Orders", &orders[1..]), 0);
}

#[test]
fn lost_parents_and_roots_are_named() {
    let nodes = tree::build(vec![span(1, 9, 0, 9, "shop", SpanKind::Server, "")]).nodes;
    let lost = lost(&nodes).unwrap();
    assert!(lost.detail.contains("root is lost") && lost.detail.contains("0000000000000009"), "{lost:?}");
    assert!(!lost.hint.is_empty());
    assert!(super::lost(&tree::build(vec![span(1, 0, 0, 9, "shop", SpanKind::Server, "")]).nodes).is_none());
}

#[test]
fn a_young_trace_may_still_be_arriving() {
    let nodes = tree::build(vec![span(1, 0, 0, 1_000, "shop", SpanKind::Server, "")]).nodes;
    assert!(arriving(&nodes, 2_000_000_000).is_some());
    assert!(arriving(&nodes, 60_000_000_000).is_none());
    let mut ahead = span(1, 0, 0, 30_000_000_000, "shop", SpanKind::Server, "");
    ahead.resource =
        Arc::new(Resource { attributes: vec![("host.name".to_owned(), Value::Str("h9".to_owned()))] });
    let told = arriving(&tree::build(vec![ahead]).nodes, 28_000_000_000).unwrap();
    assert!(told.contains("2000 ms after this answer") && told.contains("clock of h9 is ahead"), "{told}");
}

#[test]
fn messages_whose_consumers_are_in_other_traces_are_told_of() {
    let told = |spans| {
        unlinked(TraceId::new(7, Spelling::new(SpellingKind::Hex(32))).unwrap(), &tree::build(spans).nodes)
    };
    let send = || span(1, 0, 0, 9, "shop", SpanKind::Producer, "");
    let said = told(vec![send()]).unwrap();
    assert!(
        said.contains("1 spans sent") && said.contains("link:traceID = \"00000000000000000000000000000007\""),
        "{said}"
    );
    assert!(told(vec![send(), span(2, 1, 10, 20, "mail", SpanKind::Consumer, "")]).is_none());
    assert!(told(vec![span(1, 0, 0, 9, "shop", SpanKind::Client, "")]).is_none());
}
