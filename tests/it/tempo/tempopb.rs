//! Messages of `tempopb`, as far as they are looked at.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchRequest {
    #[prost(uint32, tag = "4")]
    pub(super) limit: u32,
    #[prost(uint32, tag = "5")]
    pub(super) start: u32,
    #[prost(uint32, tag = "6")]
    pub(super) end: u32,
    #[prost(string, tag = "8")]
    pub(super) query: String,
    #[prost(uint32, tag = "9")]
    pub(super) spans: u32,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) traces: Vec<Trace>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<Metrics>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Trace {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) root_service: String,
    #[prost(string, tag = "3")]
    pub(super) root_name: String,
    #[prost(uint64, tag = "4")]
    pub(super) start: u64,
    #[prost(message, optional, tag = "6")]
    pub(super) set: Option<Set>,
    #[prost(message, repeated, tag = "7")]
    pub(super) sets: Vec<Set>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Set {
    #[prost(message, repeated, tag = "1")]
    pub(super) spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    pub(super) matched: u32,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint64, tag = "4")]
    pub(super) duration: u64,
    #[prost(message, repeated, tag = "5")]
    pub(super) attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metrics {
    #[prost(uint32, tag = "4")]
    pub(super) completed: u32,
    #[prost(uint32, tag = "5")]
    pub(super) total: u32,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRequest {
    #[prost(string, tag = "1")]
    pub(super) query: String,
    #[prost(uint64, tag = "2")]
    pub(super) start: u64,
    #[prost(uint64, tag = "3")]
    pub(super) end: u64,
    #[prost(uint64, tag = "4")]
    pub(super) step: u64,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) series: Vec<Series>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Series {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) time: i64,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct InstantResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) series: Vec<InstantSeries>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct InstantSeries {
    #[prost(double, tag = "2")]
    pub(super) value: f64,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValuesRequest {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(string, tag = "2")]
    pub(super) query: String,
}
/// Both of scopes with their tags, and of values with their types.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pub(super) pairs: Vec<Pair>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) values: Vec<String>,
}
#[derive(Clone, PartialEq, Message)]
pub(super) struct Names {
    #[prost(string, repeated, tag = "1")]
    pub(super) names: Vec<String>,
}
