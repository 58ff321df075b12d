//! What real clients sent, as it was recorded, and where they sent it; OTLP, remote write and Zipkin's thrift are generated.

use std::sync::LazyLock;

use receive::jaeger::Protocol;

use super::otlp;

/// How a body comes to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To this path, as this type.
    Http(&'static str, &'static str),
    /// The same, as one block of snappy.
    Snappy(&'static str, &'static str),
    /// As the message of a call.
    Grpc(&'static str),
    /// As a datagram.
    Udp(Protocol),
}

/// A body that is good, and its way.
pub(super) struct Recorded {
    pub way: Way,
    /// Neither framed nor compressed.
    pub message: Vec<u8>,
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const THRIFT: &str = "application/x-thrift";
const NDJSON: &str = "application/x-ndjson";
const WRITE_TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const PUSH: &str = "/loki/api/v1/push";
const WRITE: &str = "/api/v1/write";
const EVENTS: &str = "/intake/v2/events";
const COMPACT: Way = Way::Udp(Protocol::Compact);
const BINARY: Way = Way::Udp(Protocol::Binary);

/// All of them.
pub(super) static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    use Way::{Grpc, Http, Snappy};
    let mut all: Vec<Recorded> = [
        (Http("/api/v2/spans", JSON), &include_bytes!("bodies/zipkin_v2_json")[..]),
        (Http("/api/v2/spans", PROTOBUF), include_bytes!("bodies/zipkin_v2_proto")),
        (Http("/api/v1/spans", JSON), include_bytes!("bodies/zipkin_v1_json")),
        (Http("/api/v1/spans", THRIFT), include_bytes!("bodies/zipkin_v1_thrift")),
        (Http("/api/traces", THRIFT), include_bytes!("bodies/jaeger_thrift")),
        (Grpc("/jaeger.api_v2.CollectorService/PostSpans"), include_bytes!("bodies/jaeger_proto")),
        (COMPACT, include_bytes!("bodies/jaeger_udp_compact")),
        (COMPACT, include_bytes!("bodies/jaeger_client_udp")),
        (BINARY, include_bytes!("bodies/jaeger_udp_binary")),
        (Http(EVENTS, NDJSON), include_bytes!("bodies/elastic_apm_python")),
        (Http(EVENTS, NDJSON), include_bytes!("bodies/elastic_apm_node")),
        (Http(PUSH, JSON), include_bytes!("bodies/loki_v0_json")),
        (Http(PUSH, JSON), include_bytes!("bodies/loki_v1_json")),
        (Snappy(PUSH, PROTOBUF), include_bytes!("bodies/loki_proto")),
        (Snappy(WRITE, PROTOBUF), include_bytes!("bodies/remote_write_one")),
        (Snappy(WRITE, WRITE_TWO), include_bytes!("bodies/remote_write_two")),
    ]
    .into_iter()
    .map(|(way, message)| Recorded { way, message: message.to_vec() })
    .collect();
    for (path, service, protobuf, json) in otlp::requests() {
        all.push(Recorded { way: Http(path, PROTOBUF), message: protobuf.clone() });
        all.push(Recorded { way: Http(path, JSON), message: json });
        all.push(Recorded { way: Grpc(service), message: protobuf });
    }
    all
});
