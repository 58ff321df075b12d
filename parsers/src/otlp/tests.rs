use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::record::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        ".{0,12}".prop_map(Value::Str),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e300..1e300f64).prop_map(Value::Double),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((".{0,6}", inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec((".{0,9}", value()), 0..4)
}

prop_compose! {
    fn span()(
        trace in 1u128.., id in 1u64.., parent in any::<u64>(), flags in any::<u32>(), name in ".{0,20}",
        kind in 0u8..6, status in 0u8..3, start in any::<u64>(), end in any::<u64>(), attributes in attributes(),
        more in attributes(), message in ".{0,9}",
    ) -> Span {
        let trace_id = TraceId::new(trace, Spelling::new(SpellingKind::Binary));
        Span {
            trace_id: trace_id.unwrap(),
            span_id: SpanId::new(id).unwrap(),
            parent_span_id: SpanId::new(parent),
            trace_state: message.clone(),
            flags, name: name.clone(), kind: SpanKind::from_code(kind), start, end, attributes,
            events: vec![Event { time: start, name, attributes: more.clone() }],
            links: vec![Link { trace_id, span_id: SpanId::new(id), attributes: more.clone() }],
            status: Status { code: StatusCode::from_code(status), message },
            resource: Arc::new(Resource { attributes: more.clone() }),
            scope: Arc::new(Scope { name: "lib".into(), version: "1".into(), attributes: more }),
        }
    }
}

/// A request with one span.
fn request(span: &Span) -> Vec<u8> {
    let mut body = Vec::new();
    Writer::new(&mut body).message(1, |out| {
        Writer::new(out).message(1, |out| encode_resource(&span.resource, out));
        Writer::new(out).message(2, |out| {
            Writer::new(out).message(1, |out| encode_scope(&span.scope, out));
            Writer::new(out).message(2, |out| encode_span(span, out));
        });
    });
    body
}

fn first(batch: &SpanBatch) -> Span {
    let row = batch.rows[0];
    let resource = decode_resource(batch.resources[row.resource as usize].payload.of(&batch.bytes));
    let scope = decode_scope(batch.scopes[row.scope as usize].of(&batch.bytes));
    decode_span(row.payload.of(&batch.bytes), row.spelling, Arc::new(resource), Arc::new(scope)).unwrap()
}

proptest! {
    #[test]
    fn a_span_survives_encoding_walking_and_decoding(span in span()) {
        let (batch, rejections) = walk_traces(request(&span)).unwrap();
        prop_assert!(rejections.is_empty());
        let row = batch.rows[0];
        prop_assert_eq!((row.trace, row.span), (span.trace_id.bits(), span.span_id.bits()));
        prop_assert_eq!((row.start, row.end, row.kind, row.status), (span.start, span.end, span.kind, span.status.code));
        prop_assert_eq!(row.name.of(&batch.bytes), span.name.as_bytes());
        prop_assert_eq!(first(&batch), span);
    }

    #[test]
    fn spans_of_another_protocol_become_the_rows_of_an_otlp_body(a in span(), b in span()) {
        let mut encoder = SpanEncoder::default();
        for span in [&a, &b, &a] {
            encoder.push(span).unwrap();
        }
        let batch = encoder.finish();
        prop_assert!(batch.resources.len() <= 2 && batch.scopes.len() <= 2, "equal ones are written once");
        prop_assert_eq!(first(&batch), a.clone());
        let of = |span: &Span| walk_traces(request(span)).unwrap().0;
        for (row, span) in batch.rows.iter().zip([&a, &b, &a]) {
            let walked = of(span);
            prop_assert_eq!(row.payload.of(&batch.bytes), walked.rows[0].payload.of(&walked.bytes));
            prop_assert_eq!(row.name.of(&batch.bytes), span.name.as_bytes());
            prop_assert_eq!(&batch.resources[row.resource as usize].service, &walked.resources[0].service);
        }
    }

    #[test]
    fn any_bytes_are_walked_and_decoded_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (walk_traces(body.clone()), walk_logs(&body, 1, None, None), walk_metrics(&body, 1, &Promoted::default()));
        let _ = (decode_resource(&body), decode_scope(&body), decode_value(&body));
        let none = (Arc::new(Resource::default()), Arc::new(Scope::default()));
        let _ = decode_span(&body, Spelling::default(), none.0, none.1);
    }

    #[test]
    fn a_request_with_a_flipped_byte_is_walked_without_a_panic(span in span(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request(&span);
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok((batch, _)) = walk_traces(body)
            && !batch.rows.is_empty()
        {
            let _ = first(&batch);
        }
    }

    #[test]
    fn a_cut_request_is_an_error(span in span(), at in any::<prop::sample::Index>()) {
        let body = request(&span);
        let cut = at.index(body.len()).max(1);
        prop_assert!(walk_traces(body[..cut].to_vec()).is_err());
    }
}

/// A request with spans of these ids and no resource.
fn bare(ids: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    Writer::new(&mut body).message(1, |out| {
        Writer::new(out).message(2, |out| {
            for (trace, span) in ids {
                Writer::new(out).message(2, |out| {
                    let mut w = Writer::new(out);
                    w.bytes(1, trace);
                    w.bytes(2, span);
                });
            }
        });
    });
    body
}

#[test]
fn spans_with_ids_of_wrong_length_are_rejected_alone() {
    let ids: &[(&[u8], &[u8])] = &[
        (&[1; 15], &[1; 8]),
        (&[0; 16], &[1; 8]),
        (&[1; 16], &[1; 7]),
        (&[1; 16], &[]),
        (&[2; 16], &[2; 8]),
    ];
    let (batch, rejections) = walk_traces(bare(ids)).unwrap();
    assert_eq!(batch.rows.len(), 1);
    assert_eq!(rejections.rejected(), 4);
    assert_eq!(rejections.iter().collect::<Vec<_>>(), [(Reason::TraceId, 2), (Reason::SpanId, 2)]);
}

#[test]
fn a_span_without_a_resource_has_an_unknown_service() {
    let (batch, _) = walk_traces(bare(&[(&[2; 16], &[2; 8])])).unwrap();
    assert_eq!(&*batch.resources[0].service, "unknown_service");
    assert!(batch.resources[0].payload.is_empty());
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let mut message = Vec::new();
    for _ in 0..2000 {
        let mut outer = Vec::new();
        Writer::new(&mut outer).message(5, |out| Writer::new(out).always_bytes(1, &message));
        message = outer;
    }
    assert!(matches!(decode_value(&message), Value::Array(_)));
}

#[test]
fn what_an_agent_tells_of_files_and_labels_is_bounded() {
    let mut body = Vec::new();
    for _ in 0..70_000 {
        Writer::new(&mut body).always_bytes(own::POSITION, b"");
        Writer::new(&mut body).always_bytes(own::FILE, b"");
        Writer::new(&mut body).always_bytes(own::RULE, b"");
    }
    let mut path = Vec::new();
    Writer::new(&mut path).bytes(6, &vec![b'x'; 1 << 20]);
    let mut labels = Vec::new();
    push_pair(&mut labels, "long", &"v".repeat(MAX_LABEL + 1));
    (0..100).for_each(|n| push_pair(&mut labels, &format!("label_{n:03}"), "v"));
    let mut first = Vec::new();
    Writer::new(&mut first).always_bytes(own::POSITION, &path);
    first.extend(body);
    Writer::new(&mut first).message(1, |out| {
        Writer::new(out).always_bytes(own::LABELS, &labels);
        Writer::new(out).message(2, |out| Writer::new(out).message(2, |out| Writer::new(out).fixed64(1, 5)));
    });
    let walked = walk_logs(&first, 0, None, None).unwrap();
    let named = [walked.positions.len(), walked.logs.files.len(), walked.logs.rules.len()];
    assert!(named.iter().all(|named| *named < 70_000), "{named:?}");
    assert!(walked.positions[0].path.len() < 10_000);
    assert!(walked.logs.streams[0].len() < 100 && walked.logs.streams[0].get("long").is_none());
    // What is no label is not lost.
    let metadata = walked.logs.metadata(&walked.logs.rows[0]).count();
    assert_eq!(walked.logs.streams[0].len() + metadata, 101);
}
