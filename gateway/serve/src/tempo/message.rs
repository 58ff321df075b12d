//! Answers as Tempo's protobuf messages (`tempopb`), for clients that stream.

use std::collections::BTreeSet;

use parsers::otlp::{Writer, encode_value};
use parsers::record::Value;
use query::traceql::{MetricsFound, Scopes, Series, SetHit, SpanHit, Static, TraceHit, shown};
use store::read::{ScanReport, ValueView};

use super::labels::{self, EXEMPLAR_TRACE};

/// How far a question is: parts done, of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) done: u32,
    pub(super) of: u32,
}

/// `SearchMetrics`.
fn search_metrics(report: ScanReport, progress: Progress, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.varint(2, report.bytes);
    w.varint(4, u64::from(progress.done));
    w.varint(5, u64::from(progress.of));
    w.varint(7, report.records);
}

/// `SearchResponse`.
pub(super) fn search(hits: &[TraceHit], report: ScanReport, progress: Progress) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    for hit in hits {
        w.message(1, |out| trace(hit, out));
    }
    w.message(2, |out| search_metrics(report, progress, out));
    out
}

fn trace(hit: &TraceHit, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.bytes(1, hit.trace_id.to_string().as_bytes());
    w.bytes(2, hit.root_service.as_bytes());
    w.bytes(3, hit.root_name.as_bytes());
    w.varint(4, hit.start);
    w.varint(5, hit.duration / 1_000_000);
    if let Some(first) = hit.sets.first() {
        w.message(6, |out| set(first, out));
    }
    hit.sets.iter().for_each(|one| w.message(7, |out| set(one, out)));
    for (service, stats) in &hit.services {
        w.message(8, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, service.as_bytes());
            w.message(2, |out| {
                let mut w = Writer::new(out);
                w.varint(1, stats.spans);
                w.varint(2, stats.errors);
            });
        });
    }
}

fn set(hit: &SetHit, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    hit.spans.iter().for_each(|one| w.message(1, |out| span(one, out)));
    w.varint(2, hit.matched);
    attributes(3, &hit.attributes, out);
}

fn span(hit: &SpanHit, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.bytes(1, hit.span_id.to_string().as_bytes());
    w.bytes(2, hit.name.as_bytes());
    w.varint(3, hit.start);
    w.varint(4, hit.duration);
    attributes(5, &hit.attributes, out);
}

/// `KeyValue`s.
fn attributes(number: u32, list: &[(String, Static)], out: &mut Vec<u8>) {
    for (key, value) in list {
        let value = match shown(value) {
            ValueView::Str(text) => Value::Str(text.into_owned()),
            ValueView::Bool(truth) => Value::Bool(truth),
            ValueView::Int(number) => Value::Int(number),
            ValueView::Double(number) => Value::Double(number),
            ValueView::Other(other) => other.into_owned(),
        };
        Writer::new(out).message(number, |out| {
            Writer::new(out).bytes(1, key.as_bytes());
            Writer::new(out).message(2, |out| encode_value(&value, out));
        });
    }
}

/// `QueryRangeResponse`, or `QueryInstantResponse` if `instant`.
pub(super) fn metrics(found: &MetricsFound, instant: bool, progress: Progress) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    for one in &found.series {
        match one.samples.first() {
            Some((_, value)) if instant => w.message(1, |out| {
                attributes(1, &one.labels, out);
                let mut w = Writer::new(out);
                w.always_double(2, *value);
                w.bytes(3, labels::as_prometheus(&one.labels).as_bytes());
            }),
            _ if instant => {}
            _ => w.message(1, |out| series(one, out)),
        }
    }
    w.message(2, |out| search_metrics(found.report, progress, out));
    if let Some(why) = &found.partial {
        w.varint(3, 1);
        w.bytes(4, why.as_bytes());
    }
    out
}

fn series(series: &Series, out: &mut Vec<u8>) {
    attributes(1, &series.labels, out);
    let mut w = Writer::new(out);
    for (time, value) in &series.samples {
        w.message(2, |out| {
            let mut w = Writer::new(out);
            w.always_double(1, *value);
            w.varint(2, *time);
        });
    }
    w.bytes(3, labels::as_prometheus(&series.labels).as_bytes());
    for exemplar in &series.exemplars {
        w.message(4, |out| {
            let trace = Static::Str(exemplar.trace_id.to_string());
            attributes(1, &[(EXEMPLAR_TRACE.to_owned(), trace)], out);
            attributes(1, &series.labels, out);
            let mut w = Writer::new(out);
            w.always_double(2, exemplar.value);
            w.varint(3, exemplar.time);
        });
    }
}

/// `SearchTagsV2Response`.
pub(super) fn scopes(found: &Scopes) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, tags) in found {
        Writer::new(&mut out).message(1, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, name.as_bytes());
            for tag in tags {
                w.bytes(2, tag.as_bytes());
            }
        });
    }
    out
}

/// `SearchTagsResponse`.
pub(super) fn tag_names(found: &Scopes) -> Vec<u8> {
    let mut out = Vec::new();
    let names: BTreeSet<&String> = found.iter().flat_map(|(_, tags)| tags).collect();
    for name in names {
        Writer::new(&mut out).bytes(1, name.as_bytes());
    }
    out
}

/// `SearchTagValuesV2Response`.
pub(super) fn typed_values(values: &[(&'static str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, value) in values {
        Writer::new(&mut out).message(1, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, kind.as_bytes());
            w.bytes(2, value.as_bytes());
        });
    }
    out
}

/// `SearchTagValuesResponse`.
pub(super) fn plain_values(values: &[(&'static str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    // Of several types some are written alike.
    let texts: BTreeSet<&String> = values.iter().map(|(_, value)| value).collect();
    for value in texts {
        Writer::new(&mut out).always_bytes(1, value.as_bytes());
    }
    out
}
