//! `X-Scope-OrgID` of a request is found again with each record, by whichever way it came.

use parsers::record::{TENANT, Value, attribute};

use super::send;
use super::ways::{Signal, ways};

#[tokio::test]
async fn the_tenant_of_a_request_is_kept_with_each_of_its_records() {
    for way in ways() {
        let name = way.name;
        for (header, expected) in
            [(Some("team-7_(a)*'!.x"), Some("team-7_(a)*'!.x")), (Some(" "), None), (None, None)]
        {
            let header: Vec<_> = header.map(|tenant| ("X-Scope-OrgID", tenant)).into_iter().collect();
            let (answer, kept) = send(way, &header, way.body(&[true, true])).await;
            assert!(["200", "202", "204", "grpc 0"].contains(&&*answer.code()), "{name}: {}", answer.text);
            let found: Vec<Option<String>> = match way.signal {
                Signal::Spans => {
                    let of = |span: parsers::record::Span| {
                        assert_eq!(
                            (span.trace_id.bits(), span.resource.service()),
                            (
                                super::ways::TRACE,
                                if name == "zipkin v2 protobuf" || name == "zipkin v1 thrift" {
                                    "unknown_service"
                                } else {
                                    "shop"
                                }
                            )
                        );
                        attribute(&span.resource.attributes, TENANT)
                            .and_then(Value::as_str)
                            .map(str::to_owned)
                    };
                    kept.spans().into_iter().map(of).collect()
                }
                Signal::Logs => {
                    let of = |log: &parsers::record::LogRecord| {
                        assert_eq!(log.labels.get("service_name"), Some("shop"), "{name}");
                        assert!(log.labels.iter().all(|(_, value)| Some(value) != expected), "no label");
                        let mut all = log.metadata.iter().filter(|(name, _)| name == TENANT);
                        let found = all.next().map(|(_, value)| value.clone());
                        assert_eq!(all.next(), None, "once");
                        found
                    };
                    kept.logs().iter().map(of).collect()
                }
                Signal::Samples => {
                    let metrics = kept.metrics();
                    let of = |sample: &parsers::record::SampleRow| {
                        let series = &metrics.series[sample.series as usize];
                        series.get("__tenant_id__").map(str::to_owned)
                    };
                    metrics.samples.iter().map(of).collect()
                }
            };
            assert_eq!(found, vec![expected.map(str::to_owned); 2], "{name}");
        }
    }
}

#[tokio::test]
async fn a_tenant_that_is_no_name_is_refused_with_what_is_expected() {
    let long = "x".repeat(151);
    for way in ways() {
        for (bad, said) in [
            ("a|b", "'|' in it"),
            ("a b", "' ' in it"),
            ("a/b", "'/' in it"),
            ("..", "it is a path"),
            ("té", "it is no ASCII text"),
            (&long, "151 bytes"),
        ] {
            let (answer, kept) = send(way, &[("x-scope-orgid", bad)], way.body(&[true])).await;
            let expected = if way.is_grpc() { "grpc 3" } else { "400" };
            assert_eq!(answer.code(), expected, "{}", way.name);
            let message = answer.header("grpc-message").unwrap_or(&answer.text).replace("&#39;", "'");
            assert!(message.contains("X-Scope-OrgID"), "{}: {message}", way.name);
            assert!(way.is_grpc() || message.contains(said), "{}: {message}", way.name);
            assert_eq!(kept.records(), 0);
        }
        let two = [("x-scope-orgid", "a"), ("x-scope-orgid", "b")];
        let (answer, _) = send(way, &two, way.body(&[true])).await;
        assert!(["400", "grpc 3"].contains(&&*answer.code()), "{}", way.name);
    }
}
