use std::collections::BTreeMap;
use std::sync::Arc;

use parsers::otlp::SpanEncoder;
use parsers::record::{
    Batch, Link, Resource, Scope, Span, SpanId, Spelling, SpellingKind, Status, StatusCode, Value,
};
use proptest::prelude::*;

use super::*;
use crate::codec::{Input, Output};
use crate::reading::{in_parts, of_batches};

const START: u64 = 1_760_000_000_000_000_000;
/// When nothing is waited for any more.
const LATER: u64 = START + 3_600_000_000_000;

/// A span; times in milliseconds.
fn span(trace: u128, id: u64, parent: u64, service: &str, kind: SpanKind, at: u64, took: u64) -> Span {
    let start = START + at * 1_000_000;
    let text = Value::Str(service.to_owned());
    Span {
        trace_id: TraceId::new(trace, Spelling::new(SpellingKind::Hex(32))).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: format!("{service} {}", kind.as_str()),
        kind,
        start,
        end: start + took * 1_000_000,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: vec![("service.name".to_owned(), text)] }),
        scope: Arc::new(Scope::default()),
    }
}

fn with(mut span: Span, attributes: &[(&str, &str)]) -> Span {
    let pairs = attributes.iter().map(|(key, value)| ((*key).to_owned(), Value::Str((*value).to_owned())));
    span.attributes.extend(pairs);
    span
}

/// With links to spans of traces.
fn linking(mut span: Span, to: &[(u128, u64)]) -> Span {
    let link = |(trace, span): &(u128, u64)| Link {
        trace_id: TraceId::new(*trace, Spelling::default()),
        span_id: SpanId::new(*span),
        attributes: Vec::new(),
    };
    span.links.extend(to.iter().map(link));
    span
}

fn failed(mut span: Span) -> Span {
    span.status.code = StatusCode::Error;
    span
}

fn batch(spans: &[Span]) -> Batch {
    let mut encoder = SpanEncoder::default();
    spans.iter().for_each(|span| encoder.push(span).unwrap());
    Batch { spans: encoder.finish(), ..Batch::default() }
}

fn sheet(spans: &[Span]) -> Sheet {
    of_batches([batch(spans)].iter())
}

/// Over all of time.
fn calls(sheet: &Sheet) -> Calls {
    let mut all = Sheet::within(0..=u32::MAX);
    all.merge(sheet);
    all.into_calls(Window::ALL, LATER)
}

/// `client > server: connection calls failed`
fn edges(calls: &Calls) -> Vec<String> {
    let edge =
        |e: &EdgeCalls| format!("{} > {}: {:?} {} {}", e.client, e.server, e.connection, e.calls, e.failed);
    calls.edges.iter().map(edge).collect()
}

use SpanKind::{Client, Consumer, Internal, Producer, Server};

#[test]
fn every_way_of_calling_is_an_edge() {
    let linked = linking(span(9, 2, 0, "mailer", Consumer, 60, 3), &[(1, 8)]);
    let spans = [
        span(1, 1, 0, "front", Server, 0, 100),
        span(1, 2, 1, "front", Client, 10, 50),
        failed(span(1, 3, 2, "shop", Server, 12, 40)),
        with(span(1, 4, 3, "shop", Client, 13, 20), &[("db.system", "postgresql"), ("db.name", "orders")]),
        with(span(1, 5, 3, "shop", Client, 14, 5), &[("server.address", "api.bank.example")]),
        // One call as two libraries see it.
        with(span(1, 6, 3, "shop", Client, 15, 9), &[("server.address", "stock")]),
        with(span(1, 7, 6, "shop", Client, 15, 8), &[("server.address", "stock")]),
        span(1, 17, 7, "stock", Server, 16, 7),
        with(span(1, 8, 3, "shop", Producer, 16, 1), &[("messaging.destination.name", "mails")]),
        span(1, 9, 8, "audit", Consumer, 30, 2),
        linked,
        with(span(1, 10, 3, "shop", Producer, 17, 1), &[("messaging.destination.name", "bills")]),
        with(span(2, 1, 77, "biller", Consumer, 18, 1), &[("messaging.destination.name", "invoices")]),
        // Both halves of a call have one id, as Zipkin's tracers have it.
        span(3, 5, 0, "front", Client, 0, 10),
        span(3, 5, 0, "mail", Server, 1, 8),
        // A library that says nothing of kinds.
        span(3, 6, 5, "mail", Internal, 2, 4),
        span(3, 7, 6, "smtp", Internal, 3, 3),
        // Its caller is not there.
        span(4, 1, 99, "lost", Server, 1, 1),
    ];
    let all = calls(&sheet(&spans));
    let expected = [
        "front > mail: Direct 1 0",
        "front > shop: Direct 1 1",
        "invoices > biller: FromQueue 1 0",
        "mail > smtp: Direct 1 0",
        "shop > api.bank.example: External 1 0",
        "shop > audit: Messages 1 0",
        "shop > bills: ToQueue 1 0",
        "shop > mailer: Messages 1 0",
        "shop > orders: Database 1 0",
        "shop > stock: Direct 1 0",
        "user > front: User 1 0",
    ];
    assert_eq!(edges(&all), expected);
    assert_eq!(all.unpaired, 1);
    let of = |name: &str| all.operations.iter().filter(|o| &*o.name == name).collect::<Vec<_>>();
    let shop = of("shop server");
    assert_eq!((shop[0].calls, shop[0].errors, shop[0].entry), (1, 1, true));
    assert!(!of("shop client")[0].entry);
    let edge = all.edges.iter().find(|e| &*e.server == "shop").unwrap();
    let millis = |sketch: &Sketch| sketch.quantile(0.5).unwrap() / 1_000_000;
    assert!(
        (48..=52).contains(&millis(&edge.client_latency))
            && (38..=42).contains(&millis(&edge.server_latency))
    );
    assert_eq!(edge.examples.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("{:032x}", 1)]);
}

#[test]
fn a_taker_of_several_messages_is_called_by_each_that_sent_one() {
    let topic = [("messaging.destination.name", "orders")];
    let sent = |trace, from: &str| with(span(trace, 8, 0, from, Producer, 0, 1), &topic);
    let taken = |trace, parent, links: &[(u128, u64)]| {
        linking(with(span(trace, 9, parent, "biller", Consumer, 20, 5), &topic), links)
    };
    let mut spans: Vec<Span> = (1..=10).map(|trace| sent(trace, "shop")).collect();
    spans.extend([sent(11, "web"), sent(12, "app"), sent(13, "app")]);
    let batch: Vec<(u128, u64)> = (1..=11).map(|trace| (trace, 8)).collect();
    spans.extend([
        // Of a batch, and one is told twice.
        taken(50, 0, &batch),
        taken(51, 0, &[(12, 8), (12, 8)]),
        // The parent sent it; the link leads to what is no message, or to the parent, or to a further message.
        taken(12, 8, &[(777, 7)]),
        taken(13, 8, &[(13, 8), (11, 8)]),
        // Nobody knows who sent these.
        taken(52, 0, &[(888, 8), (889, 8), (890, 8)]),
    ]);
    let expected = [
        "app > biller: Messages 3 0",
        "orders > biller: FromQueue 1 0",
        "shop > biller: Messages 10 0",
        "web > biller: Messages 2 0",
    ];
    let whole = calls(&sheet(&spans));
    assert_eq!((edges(&whole), whole.unpaired, whole.pending), (expected.map(str::to_owned).to_vec(), 0, 0));
    // Wherever the senders are stored, and through bytes.
    let mut all = Sheet::default();
    for of_three in 0..3 {
        let part: Vec<Span> = spans.iter().skip(of_three).step_by(3).cloned().collect();
        let mut out = Output::default();
        sheet(&part).encode(&mut out);
        all.merge(&Sheet::decode(out.as_bytes()).unwrap());
        all.pair_up();
    }
    assert_eq!(calls(&all), whole);
    // The other side of one that has several halves is waited for once.
    let mut waiting = Sheet::within(0..=u32::MAX);
    let alone = spans.last().unwrap();
    waiting.merge(&sheet(std::slice::from_ref(alone)));
    assert_eq!(waiting.into_calls(Window::ALL, alone.end).pending, 1);
}

#[test]
fn whoever_asks_a_queue_for_messages_is_served_by_it_and_calls_nobody() {
    let asks = |id, operation| {
        let said = [("messaging.destination.name", "orders"), ("messaging.operation.type", operation)];
        with(span(1, id, 0, "biller", Client, 0, 20), &said)
    };
    let spans = [asks(1, "receive"), asks(2, "send"), span(1, 3, 1, "biller", Consumer, 25, 5)];
    let all = calls(&sheet(&spans));
    assert_eq!(edges(&all), ["biller > orders: ToQueue 1 0", "orders > biller: FromQueue 1 0"]);
    // Who sent what was handled is not known.
    assert_eq!(all.unpaired, 1);
}

#[test]
fn a_window_counts_what_started_in_its_minutes() {
    let minute = 60_000;
    let spans: Vec<Span> =
        (0..5).map(|at| span(at + 1, 1, 0, "front", Server, at as u64 * minute, 1)).collect();
    let mut all = Sheet::within({
        let (minutes, _) =
            crate::reading::minutes(Window { start: START + 60_000_000_000, end: START + 120_000_000_000 });
        minutes
    });
    all.merge(&sheet(&spans));
    let calls = all.into_calls(Window::ALL, LATER);
    // Two minutes are touched: the epoch's minutes do not begin at `START`.
    assert_eq!(calls.operations[0].calls, 2);
    assert_eq!(calls.edges[0].calls, 2);
}

#[test]
fn the_other_side_is_waited_for_before_a_peer_counts_as_one_that_sends_no_spans() {
    let call = with(span(1, 2, 1, "front", Client, 0, 50), &[("server.address", "stock.shop")]);
    let taken = with(span(2, 2, 1, "biller", Consumer, 0, 50), &[("messaging.destination.name", "bills")]);
    let ended = call.end;
    let at = |now: u64, sheets: &[Arc<Sheet>]| {
        let mut all = Sheet::within(0..=u32::MAX);
        all.merge_all(sheets, now);
        all.into_calls(Window::ALL, now)
    };
    let mut sheets = vec![Arc::new(sheet(&[call, taken]))];
    let young = at(ended + PAIRING_WAIT - 1, &sheets);
    assert_eq!((edges(&young), young.pending, young.unpaired), (Vec::new(), 2, 0));
    let old = at(ended + PAIRING_WAIT, &sheets);
    assert_eq!(edges(&old), ["bills > biller: FromQueue 1 0", "front > stock.shop: External 1 0"]);
    assert_eq!(old.pending, 0);
    sheets.push(Arc::new(sheet(&[span(1, 3, 2, "stock", Server, 1, 40)])));
    assert_eq!(edges(&at(ended, &sheets)), ["front > stock: Direct 1 0"]);
}

#[test]
fn an_address_at_which_one_service_answers_is_that_service() {
    let call = |trace, to: &str| with(span(trace, 2, 1, "front", Client, 0, 50), &[("server.address", to)]);
    let spans = [
        call(1, "stock.shop"),
        span(1, 3, 2, "stock", Server, 1, 40),
        failed(call(2, "stock.shop")),
        failed(call(3, "stock")),
        // Two answer there.
        call(4, "proxy"),
        span(4, 3, 2, "stock", Server, 1, 40),
        call(5, "proxy"),
        span(5, 3, 2, "audit", Server, 1, 40),
        call(6, "proxy"),
    ];
    let mut out = Output::default();
    sheet(&spans).encode(&mut out);
    let all = calls(&Sheet::decode(out.as_bytes()).unwrap());
    let expected = ["front > audit: Direct 1 0", "front > proxy: External 1 0", "front > stock: Direct 4 2"];
    assert_eq!(edges(&all), expected);
}

#[test]
fn names_past_the_limit_are_counted_together() {
    let spans: Vec<Span> = (0..1200)
        .map(|n| Span { name: format!("GET /{n}"), ..span(n + 1, 1, 0, "front", Server, 0, 1) })
        .collect();
    let all = calls(&sheet(&spans));
    assert_eq!(all.operations.len(), 1001);
    let others = all.operations.iter().find(|o| &*o.name == OTHERS).unwrap();
    assert_eq!(others.calls, 200);
}

/// Traces in which every call has a caller of the right kind.
fn traces() -> impl Strategy<Value = Vec<Span>> {
    let trace = (any::<u32>(), prop::collection::vec((0..4usize, 0..6u8, 0..200_000u64, 0..2000u64), 1..12));
    prop::collection::vec(trace, 1..12).prop_map(|traces| {
        let mut spans = Vec::new();
        for (number, (trace, calls)) in traces.into_iter().enumerate() {
            let trace = (number as u128 + 1) << 64 | u128::from(trace) | 1 << 40;
            let root = span(trace, 1, 0, "a", Server, 0, 500);
            spans.push(root);
            for (at, (service, way, start, took)) in calls.into_iter().enumerate() {
                let (id, service) = (at as u64 * 3 + 2, ["a", "b", "c", "d"][service]);
                let client = |kind| span(trace, id, 1, "a", kind, start, took);
                match way {
                    0 => spans.extend([
                        with(client(Client), &[("server.address", &format!("{service}.shop"))]),
                        span(trace, id + 1, id, service, Server, start + 1, took / 2),
                    ]),
                    1 => spans.extend([
                        client(Producer),
                        span(trace, id + 1, id, service, Consumer, start + 1, took / 2),
                        failed(span(trace, id + 2, id, "e", Consumer, start + 2, took / 3)),
                    ]),
                    2 => spans.push(with(client(Client), &[("db.system", service)])),
                    3 => spans.push(failed(with(client(Client), &[("peer.service", "far")]))),
                    4 => spans.push(client(Client)),
                    _ => spans.push(span(trace, id, 99_999, service, Server, start, took)),
                }
            }
        }
        spans
    })
}

proptest! {
    #[test]
    fn sheets_put_together_are_the_sheet_of_all(spans in traces(), cuts in prop::collection::vec(0..4usize, 150)) {
        let address = |span: Span| {
            let silent = span.kind == Client && span.attributes.is_empty();
            if silent { with(span, &[("server.address", "b.shop")]) } else { span }
        };
        let spans: Vec<Span> = spans.into_iter().map(address).collect();
        let mut parts = vec![Vec::new(); 4];
        for (span, part) in spans.iter().zip(cuts.iter().cycle()) {
            parts[*part].push(span.clone());
        }
        let whole = calls(&sheet(&spans));
        let mut together = Sheet::within(0..=u32::MAX);
        parts.iter().for_each(|part| together.merge(&sheet(part)));
        prop_assert_eq!(&together.into_calls(Window::ALL, LATER), &whole);

        // In two steps, as segments are merged, and through their bytes.
        let mut halves = [Sheet::default(), Sheet::default()];
        for (number, part) in parts.iter().enumerate() {
            let mut out = Output::default();
            sheet(part).encode(&mut out);
            halves[number / 2].merge(&Sheet::decode(out.as_bytes()).unwrap());
        }
        let mut together = Sheet::default();
        for half in &mut halves {
            half.pair_up();
            together.merge(half);
        }
        prop_assert_eq!(&calls(&together), &whole);
    }

    #[test]
    fn a_head_counted_on_several_threads_is_the_head(
        mut spans in traces(),
        cuts in prop::collection::vec(0..3usize, 50),
        parts in 1..5usize,
    ) {
        // Taken in another trace than sent.
        let sent = spans.iter().find(|span| span.kind == Producer).map(|s| (s.trace_id.bits(), s.span_id.bits()));
        spans.extend(sent.map(|sent| linking(span(9, 2, 0, "mailer", Consumer, 60, 3), &[sent])));
        let mut batches = vec![Vec::new(); 3];
        for (span, number) in spans.iter().zip(cuts.iter().cycle()) {
            batches[*number].push(span.clone());
        }
        let batches: Vec<Arc<Batch>> = batches.iter().map(|spans| Arc::new(batch(spans))).collect();
        let sheets = in_parts(&batches, parts);
        prop_assert_eq!(sheets.len(), parts);
        let mut together = Sheet::within(0..=u32::MAX);
        together.merge_all(&sheets, LATER);
        prop_assert_eq!(together.into_calls(Window::ALL, LATER), calls(&sheet(&spans)));
    }

    #[test]
    fn calls_of_edges_are_as_many_as_pairs(spans in traces()) {
        let all = calls(&sheet(&spans));
        let mut callers = BTreeMap::new();
        for span in &spans {
            if matches!(span.kind, Client | Producer) {
                callers.insert((span.trace_id.bits(), Some(span.span_id)), 0u64);
            }
        }
        let mut pairs = 0;
        for span in spans.iter().filter(|span| matches!(span.kind, Server | Consumer)) {
            if let Some(called) = callers.get_mut(&(span.trace_id.bits(), span.parent_span_id)) {
                *called += 1;
                pairs += 1;
            }
        }
        let counted = |wanted: &[Connection]| -> u64 {
            all.edges.iter().filter(|e| wanted.contains(&e.connection)).map(|e| e.calls).sum()
        };
        prop_assert_eq!(counted(&[Connection::Direct, Connection::Messages]), pairs);
        let roots = spans.iter().filter(|span| span.parent_span_id.is_none()).count() as u64;
        prop_assert_eq!(counted(&[Connection::User]), roots);
        prop_assert_eq!(all.operations.iter().map(|o| o.calls).sum::<u64>(), spans.len() as u64);
    }

    #[test]
    fn any_bytes_are_a_sheet_or_damage(bytes: Vec<u8>) {
        let _ = Sheet::decode(&bytes);
        let _ = Input::new(&bytes);
    }
}
