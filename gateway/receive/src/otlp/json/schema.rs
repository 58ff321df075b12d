//! OTLP's messages as tables: what each JSON key is in protobuf.

use parsers::otlp::Reason;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Str,
    Bytes,
    /// Hex of any length; the walk judges the length.
    Id,
    Bool,
    Double,
    Fixed32,
    Fixed64,
    /// sfixed64.
    SFixed64,
    /// int32, int64, uint32, uint64.
    Varint,
    /// sint32.
    ZigZag,
    /// Names in the order of their numbers, from 0.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

/// One field.
#[derive(Debug)]
pub(super) struct FieldOf {
    pub key: &'static str,
    pub number: u32,
    pub kind: Kind,
    pub repeated: bool,
    /// 0 is written too: a member of a `oneof`, or `optional`.
    pub present: bool,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub fields: &'static [FieldOf],
    /// Left out alone, with this reason, if something in it cannot be read.
    pub record: Option<Reason>,
}

const fn one(key: &'static str, number: u32, kind: Kind) -> FieldOf {
    FieldOf { key, number, kind, repeated: false, present: false }
}
const fn present(key: &'static str, number: u32, kind: Kind) -> FieldOf {
    FieldOf { key, number, kind, repeated: false, present: true }
}
const fn many(key: &'static str, number: u32, kind: Kind) -> FieldOf {
    FieldOf { key, number, kind, repeated: true, present: true }
}
const fn message(fields: &'static [FieldOf]) -> Message {
    Message { fields, record: None }
}
const fn record(fields: &'static [FieldOf]) -> Message {
    Message { fields, record: Some(Reason::Malformed) }
}

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, SFixed64, Str, Varint, ZigZag};

const SPAN_KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const TEMPORALITIES: &[&str] = &[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
#[rustfmt::skip]
const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE", "SEVERITY_NUMBER_TRACE2", "SEVERITY_NUMBER_TRACE3", "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG", "SEVERITY_NUMBER_DEBUG2", "SEVERITY_NUMBER_DEBUG3", "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO", "SEVERITY_NUMBER_INFO2", "SEVERITY_NUMBER_INFO3", "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN", "SEVERITY_NUMBER_WARN2", "SEVERITY_NUMBER_WARN3", "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR", "SEVERITY_NUMBER_ERROR2", "SEVERITY_NUMBER_ERROR3", "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL", "SEVERITY_NUMBER_FATAL2", "SEVERITY_NUMBER_FATAL3", "SEVERITY_NUMBER_FATAL4",
];

static ANY: Message = message(&[
    present("stringValue", 1, Str),
    present("boolValue", 2, Bool),
    present("intValue", 3, Varint),
    present("doubleValue", 4, Double),
    present("arrayValue", 5, Kind::Message(&ARRAY)),
    present("kvlistValue", 6, Kind::Message(&KVLIST)),
    present("bytesValue", 7, Bytes),
]);
static ARRAY: Message = message(&[many("values", 1, Kind::Message(&ANY))]);
static KVLIST: Message = message(&[many("values", 1, Kind::Message(&KEY_VALUE))]);
static KEY_VALUE: Message = message(&[one("key", 1, Str), one("value", 2, Kind::Message(&ANY))]);
static RESOURCE: Message = message(&[many("attributes", 1, Kind::Message(&KEY_VALUE))]);
static SCOPE: Message =
    message(&[one("name", 1, Str), one("version", 2, Str), many("attributes", 3, Kind::Message(&KEY_VALUE))]);

pub(super) static TRACES: Message = message(&[many("resourceSpans", 1, Kind::Message(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = message(&[
    one("resource", 1, Kind::Message(&RESOURCE)),
    many("scopeSpans", 2, Kind::Message(&SCOPE_SPANS)),
    many("instrumentationLibrarySpans", 2, Kind::Message(&SCOPE_SPANS)),
]);
static SCOPE_SPANS: Message = message(&[
    one("scope", 1, Kind::Message(&SCOPE)),
    one("instrumentationLibrary", 1, Kind::Message(&SCOPE)),
    many("spans", 2, Kind::Message(&SPAN)),
]);
static SPAN: Message = record(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Str),
    one("parentSpanId", 4, Id),
    one("name", 5, Str),
    one("kind", 6, Enum(SPAN_KINDS)),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    many("attributes", 9, Kind::Message(&KEY_VALUE)),
    one("droppedAttributesCount", 10, Varint),
    many("events", 11, Kind::Message(&EVENT)),
    one("droppedEventsCount", 12, Varint),
    many("links", 13, Kind::Message(&LINK)),
    one("droppedLinksCount", 14, Varint),
    one("status", 15, Kind::Message(&STATUS)),
    one("flags", 16, Fixed32),
]);
static EVENT: Message = message(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, Str),
    many("attributes", 3, Kind::Message(&KEY_VALUE)),
]);
static LINK: Message = message(&[
    one("traceId", 1, Id),
    one("spanId", 2, Id),
    one("traceState", 3, Str),
    many("attributes", 4, Kind::Message(&KEY_VALUE)),
    one("flags", 6, Fixed32),
]);
static STATUS: Message = message(&[one("message", 2, Str), one("code", 3, Enum(STATUS_CODES))]);

pub(super) static LOGS: Message = message(&[many("resourceLogs", 1, Kind::Message(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = message(&[
    one("resource", 1, Kind::Message(&RESOURCE)),
    many("scopeLogs", 2, Kind::Message(&SCOPE_LOGS)),
    many("instrumentationLibraryLogs", 2, Kind::Message(&SCOPE_LOGS)),
]);
static SCOPE_LOGS: Message = message(&[
    one("scope", 1, Kind::Message(&SCOPE)),
    one("instrumentationLibrary", 1, Kind::Message(&SCOPE)),
    many("logRecords", 2, Kind::Message(&LOG)),
    many("logs", 2, Kind::Message(&LOG)),
]);
static LOG: Message = record(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Enum(SEVERITIES)),
    one("severityText", 3, Str),
    one("body", 5, Kind::Message(&ANY)),
    many("attributes", 6, Kind::Message(&KEY_VALUE)),
    one("droppedAttributesCount", 7, Varint),
    one("flags", 8, Fixed32),
    one("traceId", 9, Id),
    one("spanId", 10, Id),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, Str),
]);

pub(super) static METRICS: Message = message(&[many("resourceMetrics", 1, Kind::Message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = message(&[
    one("resource", 1, Kind::Message(&RESOURCE)),
    many("scopeMetrics", 2, Kind::Message(&SCOPE_METRICS)),
    many("instrumentationLibraryMetrics", 2, Kind::Message(&SCOPE_METRICS)),
]);
static SCOPE_METRICS: Message =
    message(&[one("scope", 1, Kind::Message(&SCOPE)), many("metrics", 2, Kind::Message(&METRIC))]);
static METRIC: Message = record(&[
    one("name", 1, Str),
    one("description", 2, Str),
    one("unit", 3, Str),
    present("gauge", 5, Kind::Message(&NUMBERS)),
    present("sum", 7, Kind::Message(&NUMBERS)),
    present("histogram", 9, Kind::Message(&HISTOGRAM)),
    present("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL)),
    present("summary", 11, Kind::Message(&SUMMARY)),
]);
static NUMBERS: Message = message(&[
    many("dataPoints", 1, Kind::Message(&NUMBER)),
    one("aggregationTemporality", 2, Enum(TEMPORALITIES)),
    one("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message = message(&[
    many("dataPoints", 1, Kind::Message(&HISTOGRAM_POINT)),
    one("aggregationTemporality", 2, Enum(TEMPORALITIES)),
]);
static EXPONENTIAL: Message = message(&[
    many("dataPoints", 1, Kind::Message(&EXPONENTIAL_POINT)),
    one("aggregationTemporality", 2, Enum(TEMPORALITIES)),
]);
static SUMMARY: Message = message(&[many("dataPoints", 1, Kind::Message(&SUMMARY_POINT))]);
static NUMBER: Message = record(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    present("asDouble", 4, Double),
    many("exemplars", 5, Kind::Message(&EXEMPLAR)),
    present("asInt", 6, SFixed64),
    many("attributes", 7, Kind::Message(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static HISTOGRAM_POINT: Message = record(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    present("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("exemplars", 8, Kind::Message(&EXEMPLAR)),
    many("attributes", 9, Kind::Message(&KEY_VALUE)),
    one("flags", 10, Varint),
]);
static EXPONENTIAL_POINT: Message = record(&[
    many("attributes", 1, Kind::Message(&KEY_VALUE)),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    present("sum", 5, Double),
    one("scale", 6, ZigZag),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, Kind::Message(&BUCKETS)),
    one("negative", 9, Kind::Message(&BUCKETS)),
    one("flags", 10, Varint),
    many("exemplars", 11, Kind::Message(&EXEMPLAR)),
    one("zeroThreshold", 14, Double),
]);
static BUCKETS: Message = message(&[one("offset", 1, ZigZag), many("bucketCounts", 2, Varint)]);
static SUMMARY_POINT: Message = record(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    present("sum", 5, Double),
    many("quantileValues", 6, Kind::Message(&QUANTILE)),
    many("attributes", 7, Kind::Message(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static QUANTILE: Message = message(&[present("quantile", 1, Double), present("value", 2, Double)]);
static EXEMPLAR: Message = message(&[
    one("timeUnixNano", 2, Fixed64),
    present("asDouble", 3, Double),
    one("spanId", 4, Id),
    one("traceId", 5, Id),
    present("asInt", 6, SFixed64),
    many("filteredAttributes", 7, Kind::Message(&KEY_VALUE)),
]);
