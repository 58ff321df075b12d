//! Sides of calls: in which order they come, and which of them belong together.

use super::*;

#[test]
fn sides_of_calls_meet_in_either_order_and_the_lonely_are_told_after_a_while() {
    let spans = [
        span(1, 1, 0, "front", Server, 100),
        span(1, 2, 1, "front", Client, 90),
        span(1, 3, 2, "shop", Server, 80),
        with(span(1, 4, 3, "shop", Client, 20), "db.system", "postgresql"),
        with(span(1, 5, 3, "shop", Client, 20), "peer.service", "bank"),
        with(span(1, 10, 3, "shop", Client, 20), "url.full", "https://rates.example/today"),
        span(1, 6, 3, "shop", Producer, 1),
        span(1, 7, 6, "mailer", Consumer, 5),
        span(1, 8, 6, "audit", Consumer, 5),
        span(1, 9, 77, "lost", Server, 5),
        // Both sides have one id.
        span(2, 5, 4, "front", Client, 9),
        span(2, 5, 4, "stock", Server, 8),
    ];
    let mut backwards = spans.to_vec();
    backwards.reverse();
    for spans in [&spans[..], &backwards[..]] {
        let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
        for span in spans {
            metrics.add(&batch(std::slice::from_ref(span)), NOW);
        }
        let before = edges(&values(&metrics.collect(NOW)));
        assert!(!before.iter().any(|edge| edge.contains("bank")), "it may still come: {before:?}");
        let of = values(&metrics.collect(NOW + 11 * SECOND));
        let expected = [
            "client=front,server=shop 1",
            "client=front,server=stock 1",
            "client=shop,connection_type=database,server=postgresql 1",
            "client=shop,connection_type=messaging_system,server=audit 1",
            "client=shop,connection_type=messaging_system,server=mailer 1",
            "client=shop,connection_type=virtual_node,server=bank 1",
            "client=shop,connection_type=virtual_node,server=rates.example 1",
            "client=user,connection_type=virtual_node,server=front 1",
        ];
        assert_eq!(edges(&of), expected);
        assert_eq!(of["traces_service_graph_unpaired_spans_total{server=lost}"], 1.0);
        assert_eq!(of["traces_service_graph_request_server_seconds_sum{client=front,server=shop}"], 0.08);
        assert_eq!(of["traces_service_graph_request_client_seconds_sum{client=front,server=shop}"], 0.09);
        // Both ends of the message are known: it was sent at once, and taken five milliseconds before.
        let waited = "traces_service_graph_request_messaging_system_seconds";
        let mailer = "{client=shop,connection_type=messaging_system,server=mailer}";
        assert_eq!(
            (of[&format!("{waited}_count{mailer}")], of[&format!("{waited}_sum{mailer}")]),
            (1.0, 0.0)
        );
        assert_eq!(
            of.keys().filter(|name| name.starts_with(waited) && name.contains("server=shop")).count(),
            0
        );
        assert_eq!(metrics.stats().waiting, 0);
    }
}

#[test]
fn what_is_of_one_tenant_neither_meets_nor_counts_with_what_is_of_another() {
    let of = |tenant: &str, mut span: Span| {
        let mut attributes = span.resource.attributes.clone();
        attributes.push((parsers::record::TENANT.to_owned(), Value::Str(tenant.to_owned())));
        span.resource = Arc::new(Resource { attributes });
        span
    };
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    let client = || with(span(1, 2, 1, "front", Client, 9), "peer.service", "shop");
    let server = || span(1, 3, 2, "shop", Server, 8);
    metrics.add(&batch(&[of("a", client()), of("b", server()), of("b", client()), of("a", client())]), NOW);
    let values = values(&metrics.collect(NOW + 11 * SECOND));
    let calls = |tenant: &str| {
        values[&format!(
            "traces_spanmetrics_calls_total{{__tenant_id__={tenant},service=front,span_kind=SPAN_KIND_CLIENT,span_name=op client,status_code=STATUS_CODE_UNSET}}"
        )]
    };
    assert_eq!((calls("a"), calls("b")), (2.0, 1.0));
    let expected = [
        "__tenant_id__=a,client=front,connection_type=virtual_node,server=shop 2",
        "__tenant_id__=b,client=front,server=shop 1",
    ];
    assert_eq!(edges(&values), expected);
}

/// What is told of calls after their time, and of sides without others, when each span comes by itself in this order.
fn told<'a>(spans: impl IntoIterator<Item = &'a Span>) -> (Vec<String>, Vec<String>) {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    spans.into_iter().for_each(|span| metrics.add(&batch(std::slice::from_ref(span)), NOW));
    let of = values(&metrics.collect(NOW + 11 * SECOND));
    assert_eq!(metrics.stats().waiting, 0);
    let others = [
        "traces_service_graph_request_failed",
        "traces_service_graph_unpaired",
        "traces_service_graph_dropped",
    ];
    let others =
        of.iter().filter(|(name, value)| **value > 0.0 && others.iter().any(|own| name.starts_with(own)));
    let others =
        others.map(|(name, value)| format!("{} {value}", name.trim_start_matches("traces_service_graph_")));
    (edges(&of), others.collect())
}

#[test]
fn each_try_of_a_proxy_that_leaves_no_spans_is_a_call_with_its_own_outcome() {
    let spans = [
        span(1, 2, 1, "front", Client, 90),
        failed(span(1, 3, 2, "shop", Server, 25)),
        failed(span(1, 4, 2, "shop", Server, 25)),
        span(1, 5, 2, "shop", Server, 25),
    ];
    let calls = vec!["client=front,server=shop 3".to_owned()];
    let failed = vec!["request_failed_total{client=front,server=shop} 2".to_owned()];
    for first in 0..4 {
        // Each comes first once, the caller among them; and backwards.
        let order = || spans.iter().cycle().skip(first).take(4);
        assert_eq!(told(order()), (calls.clone(), failed.clone()));
        assert_eq!(told(order().collect::<Vec<_>>().into_iter().rev()), (calls.clone(), failed.clone()));
    }
}

#[test]
fn where_both_sides_have_one_id_what_the_callee_calls_is_no_call_of_its_caller() {
    let spans = [
        span(1, 4, 3, "front", Client, 9),
        span(1, 4, 3, "shop", Server, 8),
        span(1, 5, 4, "stock", Server, 5),
        span(1, 5, 4, "shop", Client, 6),
    ];
    let expected = ["client=front,server=shop 1", "client=shop,server=stock 1"].map(str::to_owned).to_vec();
    for order in [[0, 1, 2, 3], [1, 0, 2, 3], [3, 2, 1, 0]] {
        assert_eq!(told(order.map(|at: usize| &spans[at])), (expected.clone(), Vec::new()), "{order:?}");
    }
}

#[test]
fn a_taker_of_several_messages_is_called_by_each_that_sent_one() {
    let topic = |span| with(span, "messaging.destination.name", "orders");
    let sent = |trace, from: &str| topic(span(trace, 8, 0, from, Producer, 1));
    let taken = |trace, parent| topic(span(trace, 9, parent, "biller", Consumer, 5));
    let mut spans: Vec<Span> = (1..=10).map(|trace| sent(trace, "shop")).collect();
    spans.extend([sent(11, "web"), sent(12, "app"), sent(13, "app")]);
    spans.extend([
        // Of a batch, and one is told twice.
        linking(taken(50, 0), 1..=11, 8),
        linking(taken(51, 0), [12, 12], 8),
        // The parent sent it; the link leads to what is no message, or to the parent and to a further message.
        linking(taken(12, 8), [777], 7),
        linking(taken(13, 8), [13, 11], 8),
        // Nobody knows who sent these.
        linking(taken(52, 0), [888, 889, 890], 8),
    ]);
    let by_whom = |client: &str, count: u64| {
        format!("client={client},connection_type=messaging_system,server=biller {count}")
    };
    let expected = vec![by_whom("app", 3), by_whom("orders", 1), by_whom("shop", 10), by_whom("web", 2)];
    for first in 0..spans.len() {
        let order = spans.iter().cycle().skip(first).take(spans.len());
        assert_eq!(told(order), (expected.clone(), Vec::new()), "{first}");
    }
    assert_eq!(told(spans.iter().rev()), (expected, Vec::new()));
}

#[test]
fn whoever_asks_a_queue_for_messages_is_served_by_it_and_calls_nobody() {
    let asks = |id, operation: &str| {
        let said = with(span(1, id, 0, "biller", Client, 20), "messaging.destination.name", "orders");
        with(said, "messaging.operation.type", operation)
    };
    let spans = [asks(1, "receive"), asks(2, "send"), span(1, 3, 1, "biller", Consumer, 5)];
    let expected = [
        "client=biller,connection_type=messaging_system,server=orders 1",
        "client=orders,connection_type=messaging_system,server=biller 1",
    ];
    // Who sent what was handled is not known.
    let expected =
        (expected.map(str::to_owned).to_vec(), vec!["unpaired_spans_total{server=biller} 1".to_owned()]);
    assert_eq!(told(&spans), expected);
    assert_eq!(told(spans.iter().rev()), expected);
}

#[test]
fn a_message_may_lie_in_its_queue_for_as_long_as_is_configured() {
    let options = RedOptions { wait: std::time::Duration::from_mins(2), ..RedOptions::default() };
    let mut metrics = SpanMetrics::new(&options, NOW);
    let sent = with(span(1, 2, 1, "shop", Producer, 1), "messaging.destination.name", "orders");
    metrics.add(&batch(&[sent]), NOW);
    metrics.add(&batch(&[span(1, 3, 2, "biller", Consumer, 1)]), NOW + 100 * SECOND);
    let of = values(&metrics.collect(NOW + 300 * SECOND));
    assert_eq!(edges(&of), ["client=shop,connection_type=messaging_system,server=biller 1"]);
}

#[test]
fn of_callees_without_end_that_name_one_caller_some_wait_and_all_are_counted() {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    let callees: Vec<Span> = (0..1_000).map(|n| span(1, n + 10, 2, "shop", Server, 1)).collect();
    metrics.add(&batch(&callees), NOW);
    assert_eq!(metrics.stats().waiting, 256);
    metrics.add(&batch(&[span(1, 2, 1, "front", Client, 5)]), NOW);
    let of = values(&metrics.collect(NOW + 11 * SECOND));
    assert_eq!(edges(&of), ["client=front,server=shop 256"]);
    assert_eq!(of["traces_service_graph_unpaired_spans_total{server=shop}"], 744.0);
}
