//! The ways in: where each protocol's bodies go, and bodies of good and bad records.

use parsers::otlp::Writer;
use serde_json::json;

use crate::thrift::Protocol;
use crate::thrift::writer::{Thrift, text};

/// What a body's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Spans,
    Logs,
    Samples,
}

/// One way for records into the gateway.
pub(super) struct Way {
    pub name: &'static str,
    pub path: &'static str,
    pub media: &'static str,
    pub signal: Signal,
    /// What is round a message on the wire.
    frame: Frame,
    /// A message of records, good or bad ones.
    write: fn(&[bool]) -> Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Plain,
    Grpc,
    Snappy,
}

pub(super) const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
/// Nanoseconds.
const TIME: u64 = 1_700_000_000_000_000_000;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const THRIFT: &str = "application/x-thrift";
const GRPC: &str = "application/grpc";
const WRITE_TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

const fn way(
    name: &'static str,
    path: &'static str,
    media: &'static str,
    signal: Signal,
    frame: Frame,
    write: fn(&[bool]) -> Vec<u8>,
) -> Way {
    Way { name, path, media, signal, frame, write }
}

/// All of them.
pub(super) const WAYS: [Way; 18] = {
    use Frame::{Grpc, Plain, Snappy};
    use Signal::{Logs, Samples, Spans};
    const OTLP: [&str; 3] = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    ];
    [
        way("otlp spans", "/v1/traces", PROTOBUF, Spans, Plain, otlp_spans),
        way("otlp spans json", "/v1/traces", JSON, Spans, Plain, otlp_spans_json),
        way("otlp spans grpc", OTLP[0], GRPC, Spans, Grpc, otlp_spans),
        way("otlp logs", "/v1/logs", PROTOBUF, Logs, Plain, otlp_logs),
        way("otlp logs at loki", "/otlp/v1/logs", PROTOBUF, Logs, Plain, otlp_logs),
        way("otlp logs grpc", OTLP[1], GRPC, Logs, Grpc, otlp_logs),
        way("otlp metrics", "/v1/metrics", PROTOBUF, Samples, Plain, otlp_metrics),
        way("otlp metrics grpc", OTLP[2], GRPC, Samples, Grpc, otlp_metrics),
        way("zipkin v2", "/api/v2/spans", JSON, Spans, Plain, zipkin_two),
        way("zipkin v2 protobuf", "/api/v2/spans", PROTOBUF, Spans, Plain, zipkin_proto),
        way("zipkin v1", "/api/v1/spans", JSON, Spans, Plain, zipkin_one),
        way("zipkin v1 thrift", "/api/v1/spans", THRIFT, Spans, Plain, zipkin_thrift),
        way("jaeger thrift", "/api/traces", THRIFT, Spans, Plain, jaeger_thrift),
        way("jaeger grpc", "/jaeger.api_v2.CollectorService/PostSpans", GRPC, Spans, Grpc, jaeger_proto),
        way("elastic apm", "/intake/v2/events", "application/x-ndjson", Spans, Plain, elastic),
        way("loki json", "/loki/api/v1/push", JSON, Logs, Plain, loki_json),
        way("loki protobuf", "/loki/api/v1/push", PROTOBUF, Logs, Snappy, loki_proto),
        way("remote write", "/api/v1/write", PROTOBUF, Samples, Snappy, write_one),
    ]
};

/// Remote write of version 2.0 is the same way with another message.
pub(super) const WRITE_2: Way =
    way("remote write 2", "/api/v1/write", WRITE_TWO, Signal::Samples, Frame::Snappy, write_two);

pub(super) fn ways() -> impl Iterator<Item = &'static Way> {
    static ALL: [Way; 18] = WAYS;
    static TWO: Way = WRITE_2;
    ALL.iter().chain([&TWO])
}

impl Way {
    pub(super) fn is_grpc(&self) -> bool {
        self.frame == Frame::Grpc
    }

    /// Whether a body is snappy whatever its head says.
    pub(super) fn is_snappy(&self) -> bool {
        self.frame == Frame::Snappy
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![("content-type", self.media)];
        headers.extend(self.is_snappy().then_some(("content-encoding", "snappy")));
        headers
    }

    /// A message of records, each good or bad, as it is before it is framed.
    pub(super) fn message(&self, records: &[bool]) -> Vec<u8> {
        (self.write)(records)
    }

    /// As it goes over the wire.
    pub(super) fn framed(&self, message: &[u8]) -> Vec<u8> {
        match self.frame {
            Frame::Plain => message.to_vec(),
            Frame::Grpc => [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat(),
            Frame::Snappy => snap::raw::Encoder::new().compress_vec(message).unwrap(),
        }
    }

    /// A body of records, each good or bad.
    pub(super) fn body(&self, records: &[bool]) -> Vec<u8> {
        self.framed(&self.message(records))
    }
}

/// A message of which this is a field, or one of several.
fn within(number: u32, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(number, write);
    out
}

fn id(good: bool) -> Vec<u8> {
    TRACE.to_be_bytes()[..if good { 16 } else { 15 }].to_vec()
}

fn hex(good: bool) -> String {
    if good { format!("{TRACE:032x}") } else { "no id".to_owned() }
}

/// Resource and scope, and the records in them.
fn otlp(records: &[bool], record: impl Fn(&mut Vec<u8>, bool)) -> Vec<u8> {
    within(1, |out| {
        Writer::new(out).message(1, |out| otlp_attribute(out, 1, "service.name", "shop"));
        Writer::new(out).message(2, |out| {
            for good in records {
                Writer::new(out).message(2, |out| record(out, *good));
            }
        });
    })
}

fn otlp_attribute(out: &mut Vec<u8>, number: u32, name: &str, value: &str) {
    Writer::new(out).message(number, |out| {
        Writer::new(out).bytes(1, name.as_bytes());
        Writer::new(out).message(2, |out| Writer::new(out).bytes(1, value.as_bytes()));
    });
}

fn otlp_spans(records: &[bool]) -> Vec<u8> {
    otlp(records, |out, good| {
        let mut w = Writer::new(out);
        w.bytes(1, &id(good));
        w.bytes(2, &SPAN.to_be_bytes());
        w.bytes(5, b"GET /");
        w.fixed64(7, TIME);
        w.fixed64(8, TIME + 1000);
        otlp_attribute(out, 9, "user", "7");
    })
}

fn otlp_spans_json(records: &[bool]) -> Vec<u8> {
    let span = |good: &bool| {
        json!({ "traceId": hex(*good), "spanId": format!("{SPAN:016x}"), "name": "GET /",
                "startTimeUnixNano": TIME.to_string(), "endTimeUnixNano": TIME + 1000 })
    };
    let spans: Vec<_> = records.iter().map(span).collect();
    let attributes = json!([{ "key": "service.name", "value": { "stringValue": "shop" } }]);
    let resource = json!({ "attributes": attributes });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] })
        .to_string()
        .into()
}

/// A record whose id is none is kept without it, so none is bad.
fn otlp_logs(records: &[bool]) -> Vec<u8> {
    otlp(records, |out, good| {
        let mut w = Writer::new(out);
        w.fixed64(1, TIME);
        w.message(5, |out| Writer::new(out).bytes(1, b"paid"));
        w.bytes(9, &id(good));
    })
}

/// A point without a value is bad.
fn otlp_metrics(records: &[bool]) -> Vec<u8> {
    otlp(records, |out, good| {
        Writer::new(out).bytes(1, b"queue_length");
        Writer::new(out).message(5, |out| {
            Writer::new(out).message(1, |out| {
                Writer::new(out).fixed64(3, TIME);
                if good {
                    Writer::new(out).always_double(4, 7.0);
                }
            });
        });
    })
}

fn zipkin_two(records: &[bool]) -> Vec<u8> {
    let span = |good: &bool| {
        json!({ "traceId": hex(*good), "id": format!("{SPAN:016x}"), "name": "get", "timestamp": TIME / 1000,
                "duration": 7, "localEndpoint": { "serviceName": "shop" } })
    };
    json!(records.iter().map(span).collect::<Vec<_>>()).to_string().into()
}

fn zipkin_proto(records: &[bool]) -> Vec<u8> {
    let span = |good: &bool| {
        within(1, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, &id(*good));
            w.bytes(3, &SPAN.to_be_bytes());
            w.bytes(5, b"get");
            w.fixed64(6, TIME / 1000);
        })
    };
    records.iter().flat_map(span).collect()
}

fn zipkin_one(records: &[bool]) -> Vec<u8> {
    let span = |good: &bool| {
        let endpoint = json!({ "serviceName": "shop", "ipv4": "10.0.0.1" });
        let note = |value, at| json!({ "timestamp": TIME / 1000 + at, "value": value, "endpoint": endpoint });
        json!({ "traceId": hex(*good), "id": format!("{SPAN:016x}"), "name": "get",
                "annotations": [note("sr", 0), note("ss", 7)], "binaryAnnotations": [] })
    };
    json!(records.iter().map(span).collect::<Vec<_>>()).to_string().into()
}

/// A span without an id is bad.
fn zipkin_thrift(records: &[bool]) -> Vec<u8> {
    let span = |good: &bool| {
        Thrift::Struct(vec![
            (1, Thrift::I64(TRACE as i64)),
            (3, text("get")),
            (4, Thrift::I64(if *good { SPAN as i64 } else { 0 })),
            (10, Thrift::I64((TIME / 1000) as i64)),
            (12, Thrift::I64((TRACE >> 64) as i64)),
        ])
    };
    Thrift::List(records.iter().map(span).collect()).encode(Protocol::Binary)
}

/// A span without an id is bad.
fn jaeger_thrift(records: &[bool]) -> Vec<u8> {
    jaeger_batch(records).encode(Protocol::Binary)
}

/// The thrift struct, which datagrams hold as well.
pub(super) fn jaeger_batch(records: &[bool]) -> Thrift {
    let span = |good: &bool| {
        Thrift::Struct(vec![
            (1, Thrift::I64(TRACE as i64)),
            (2, Thrift::I64((TRACE >> 64) as i64)),
            (3, Thrift::I64(if *good { SPAN as i64 } else { 0 })),
            (5, text("GET /")),
            (8, Thrift::I64((TIME / 1000) as i64)),
            (9, Thrift::I64(7)),
        ])
    };
    let process = Thrift::Struct(vec![(1, text("shop"))]);
    Thrift::Struct(vec![(1, process), (2, Thrift::List(records.iter().map(span).collect()))])
}

fn jaeger_proto(records: &[bool]) -> Vec<u8> {
    within(1, |out| {
        for good in records {
            Writer::new(out).message(1, |out| {
                Writer::new(out).bytes(1, &id(*good));
                Writer::new(out).bytes(2, &SPAN.to_be_bytes());
                Writer::new(out).bytes(3, b"GET /");
                Writer::new(out).message(6, |out| Writer::new(out).varint(1, TIME / 1_000_000_000));
            });
        }
        Writer::new(out).message(2, |out| Writer::new(out).bytes(1, b"shop"));
    })
}

/// A transaction without an id is bad.
fn elastic(records: &[bool]) -> Vec<u8> {
    let agent = json!({ "name": "python", "version": "6" });
    let mut lines = vec![json!({ "metadata": { "service": { "name": "shop", "agent": agent } } })];
    lines.extend(records.iter().map(|good| {
        let id = good.then(|| format!("{SPAN:016x}"));
        json!({ "transaction": { "id": id, "trace_id": hex(true), "type": "request", "duration": 1.5,
                "timestamp": TIME / 1000, "span_count": { "started": 0 } } })
    }));
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect::<String>().into()
}

/// A number for a time is bad.
fn loki_json(records: &[bool]) -> Vec<u8> {
    let entry = |good: &bool| {
        let time = if *good { json!(TIME.to_string()) } else { json!(TIME) };
        json!([time, "paid", { "trace_id": hex(true) }])
    };
    let values: Vec<_> = records.iter().map(entry).collect();
    json!({ "streams": [{ "stream": { "app": "shop" }, "values": values }] }).to_string().into()
}

/// No time is bad.
fn loki_proto(records: &[bool]) -> Vec<u8> {
    within(1, |out| {
        Writer::new(out).bytes(1, b"{app=\"shop\"}");
        for good in records {
            Writer::new(out).message(2, |out| {
                if *good {
                    Writer::new(out).message(1, |out| Writer::new(out).varint(1, TIME / 1_000_000_000));
                }
                Writer::new(out).bytes(2, b"paid");
                Writer::new(out).message(3, |out| {
                    Writer::new(out).bytes(1, b"trace_id");
                    Writer::new(out).bytes(2, hex(true).as_bytes());
                });
            });
        }
    })
}

/// A series without a name is bad.
fn write_one(records: &[bool]) -> Vec<u8> {
    let series = |good: &bool| {
        within(1, |out| {
            Writer::new(out).message(1, |out| {
                Writer::new(out).bytes(1, if *good { b"__name__" } else { b"nameless" });
                Writer::new(out).bytes(2, b"queue_length");
            });
            write_sample(out);
        })
    };
    records.iter().flat_map(series).collect()
}

fn write_sample(out: &mut Vec<u8>) {
    Writer::new(out).message(2, |out| {
        Writer::new(out).always_double(1, 7.0);
        Writer::new(out).varint(2, TIME / 1_000_000);
    });
}

/// A series that names a symbol which is not there is bad.
fn write_two(records: &[bool]) -> Vec<u8> {
    let mut out = Vec::new();
    for symbol in ["", "__name__", "queue_length"] {
        Writer::new(&mut out).always_bytes(4, symbol.as_bytes());
    }
    for good in records {
        Writer::new(&mut out).message(5, |out| {
            Writer::new(out).bytes(1, if *good { &[1, 2] } else { &[1, 9] });
            write_sample(out);
        });
    }
    out
}
