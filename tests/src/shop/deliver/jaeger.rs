//! Jaeger's thrift, as its clients put it into the body of a request: a `Batch` in the binary protocol.

use super::{Delivery, Span, Value};
use crate::shop::Kind;

const STOP: u8 = 0;
const BOOL: u8 = 2;
const I32: u8 = 8;
const I64: u8 = 10;
const TEXT: u8 = 11;
const STRUCT: u8 = 12;
const LIST: u8 = 15;

/// A request with spans of one pod.
pub(super) fn body(delivery: &Delivery<'_>, pod: usize, spans: &[&Span]) -> Vec<u8> {
    let mut out = Bytes::default();
    out.field(STRUCT, 1);
    out.field(TEXT, 1);
    out.text(delivery.traffic.pods[pod].service.name());
    let process: Vec<_> =
        delivery.resource(pod).into_iter().filter(|(key, _)| *key != "service.name").collect();
    out.list(2, STRUCT, process.len());
    for (key, value) in process {
        out.tag(key, &Value::Text(value));
    }
    out.0.push(STOP);
    out.list(2, STRUCT, spans.len());
    for span in spans {
        out.span(delivery, span);
    }
    out.0.push(STOP);
    out.0
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn field(&mut self, kind: u8, number: i16) {
        self.0.push(kind);
        self.0.extend(number.to_be_bytes());
    }

    fn list(&mut self, number: i16, of: u8, count: usize) {
        self.field(LIST, number);
        self.0.push(of);
        self.0.extend((count as u32).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.extend((text.len() as u32).to_be_bytes());
        self.0.extend(text.as_bytes());
    }

    fn i64(&mut self, number: i16, value: u64) {
        self.field(I64, number);
        self.0.extend(value.to_be_bytes());
    }

    fn tag(&mut self, key: &str, value: &Value) {
        self.field(TEXT, 1);
        self.text(key);
        self.field(I32, 2);
        match value {
            Value::Text(text) => {
                self.0.extend(0u32.to_be_bytes());
                self.field(TEXT, 3);
                self.text(text);
            }
            Value::Int(number) => {
                self.0.extend(3u32.to_be_bytes());
                self.i64(6, *number as u64);
            }
        }
        self.0.push(STOP);
    }

    fn span(&mut self, delivery: &Delivery<'_>, span: &Span) {
        self.i64(1, span.trace as u64);
        self.i64(2, (span.trace >> 64) as u64);
        self.i64(3, span.id);
        self.i64(4, span.parent.unwrap_or(0));
        self.field(TEXT, 5);
        self.text(&span.name);
        self.field(I32, 7);
        self.0.extend(1u32.to_be_bytes());
        self.i64(8, delivery.shown(span.pod, span.start) / 1000);
        self.i64(9, span.duration() / 1000);
        let kind = match span.kind {
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        };
        self.list(10, STRUCT, span.attributes.len() + 1 + usize::from(span.error.is_some()));
        self.tag("span.kind", &Value::Text(kind.to_owned()));
        for (key, value) in &span.attributes {
            self.tag(key, value);
        }
        if span.error.is_some() {
            self.field(TEXT, 1);
            self.text("error");
            self.field(I32, 2);
            self.0.extend(2u32.to_be_bytes());
            self.field(BOOL, 5);
            self.0.extend([1, STOP]);
        }
        self.0.push(STOP);
    }
}
