//! Makes the body of an [`Answer`], from which it borrows what it shows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use correlate::{Answer, ExemplarSource, LinkTarget};
use parsers::record::{Attributes, Event, SpellingKind};

use super::{
    Absence, CURSOR, Clock, CriticalSegment, Exemplar, Join, LabelSet, Link, Log, Metric, Pairs, Service,
    Span, SpanEvent, SpanLink, Spelling, Status, Text, TraceBody, Window,
};
use crate::values::{self, Written};

impl<'a> From<&'a Answer> for TraceBody<'a> {
    fn from(answer: &'a Answer) -> Self {
        let absence = |absence: &'a correlate::Absence| Absence {
            signal: absence.signal.as_str(),
            reason: absence.reason.as_str(),
            detail: &absence.detail,
            hint: &absence.hint,
        };
        Self {
            trace_id: Text(answer.trace_id),
            spellings: answer.spellings.iter().map(spelling).collect(),
            window: answer.window.map(|window| Window {
                start_unix_nano: Text(window.start),
                end_unix_nano: Text(window.end),
            }),
            services: answer.services.iter().map(service).collect(),
            spans: answer.spans.iter().map(|node| span(node, answer.join_of(node))).collect(),
            total_spans: answer.total_spans,
            next: answer.next.map(|offset| format!("{CURSOR}{offset}")),
            logs: answer.logs.iter().map(log).collect(),
            mentions: answer.mentions.iter().map(log).collect(),
            exemplars: answer.exemplars.iter().map(exemplar).collect(),
            metrics: answer.metrics.iter().map(metric).collect(),
            critical_path: answer.critical_path.iter().map(segment).collect(),
            links: answer.links.iter().map(link).collect(),
            clocks: answer.clocks.iter().map(clock).collect(),
            absent: answer.absent.iter().map(absence).collect(),
            warnings: &answer.warnings,
        }
    }
}

fn clock(clock: &correlate::ClockOffset) -> Clock<'_> {
    Clock {
        host: &clock.host,
        against: &clock.against,
        offset_nano: Text(clock.by),
        calls: clock.calls,
        spans: clock.spans,
    }
}

fn pairs(pairs: &[(String, String)]) -> Pairs<'_> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().into())).collect()
}

fn attributes(list: &Attributes) -> BTreeMap<&str, Written<'_>> {
    list.iter().map(|(key, value)| (key.as_str(), Written(value))).collect()
}

fn spelling(seen: &correlate::SeenSpelling) -> Spelling<'_> {
    let signals = [("spans", seen.in_spans), ("logs", seen.in_logs), ("exemplars", seen.in_exemplars)];
    Spelling {
        written: &seen.written,
        form: match seen.form {
            SpellingKind::Hex(_) | SpellingKind::HexUpper(_) => "hex",
            SpellingKind::Decimal => "decimal",
            SpellingKind::XRay => "x_ray",
            SpellingKind::Uuid => "uuid",
            SpellingKind::Binary => "binary",
            SpellingKind::Opaque => "opaque",
        },
        count: seen.count,
        signals: signals.iter().filter(|(_, in_it)| *in_it).map(|(name, _)| *name).collect(),
    }
}

fn service(service: &correlate::ServiceSummary) -> Service<'_> {
    Service {
        name: &service.name,
        version: &service.version,
        namespace: &service.namespace,
        pods: &service.pods,
        spans: service.spans,
        errors: service.errors,
        logs: service.logs,
    }
}

fn join(join: &correlate::Join) -> Join<'_> {
    Join { rule: join.rule.as_str(), confidence: join.confidence, agreed: Cow::Borrowed(&join.agreed) }
}

fn span(node: &correlate::SpanNode, why: correlate::Join) -> Span<'_> {
    let span = &node.span;
    Span {
        span_id: Text(span.span_id),
        parent_span_id: span.parent_span_id.map(Text),
        depth: node.depth,
        service: node.service(),
        name: &span.name,
        kind: span.kind.as_str(),
        status: Status { code: span.status.code.as_str(), message: &span.status.message },
        start_unix_nano: Text(span.start),
        adjusted_start_unix_nano: Text(node.start),
        duration_nano: Text(node.duration()),
        self_time_nano: Text(node.self_time),
        oddities: node.oddities.iter().map(|oddity| oddity.as_str()).collect(),
        join: Join { rule: why.rule.as_str(), confidence: why.confidence, agreed: Cow::Owned(why.agreed) },
        attributes: attributes(&span.attributes),
        resource: attributes(&span.resource.attributes),
        events: span.events.iter().map(event).collect(),
        links: span
            .links
            .iter()
            .map(|link| SpanLink {
                trace_id: link.trace_id.map(Text),
                span_id: link.span_id.map(Text),
                attributes: attributes(&link.attributes),
            })
            .collect(),
    }
}

fn event(event: &Event) -> SpanEvent<'_> {
    SpanEvent {
        time_unix_nano: Text(event.time),
        name: &event.name,
        attributes: attributes(&event.attributes),
    }
}

fn log(joined: &correlate::JoinedLog) -> Log<'_> {
    let record = &joined.record;
    let mut metadata = pairs(&record.metadata);
    if let Some(trace) = record.trace_id {
        metadata.insert("trace_id", trace.to_string().into());
    }
    if let Some(span) = record.span_id {
        metadata.insert("span_id", span.to_string().into());
    }
    if let Some(rule) = &record.rule {
        metadata.insert("trace_id_rule", (**rule).into());
    }
    Log {
        time_unix_nano: Text(record.time),
        adjusted_time_unix_nano: Text(joined.adjusted),
        line: String::from_utf8_lossy(&record.line),
        labels: LabelSet(&record.labels),
        metadata,
        severity: record.severity.as_str(),
        span_id: joined.span_id.map(Text),
        span_inferred: joined.span_inferred,
        join: join(&joined.join),
    }
}

fn exemplar(joined: &correlate::JoinedExemplar) -> Exemplar<'_> {
    let exemplar = &joined.exemplar;
    Exemplar {
        metric: exemplar.series.get("__name__").unwrap_or_default(),
        labels: LabelSet(&exemplar.series),
        exemplar_labels: pairs(&exemplar.labels),
        value: values::double(exemplar.value),
        time_unix_nano: Text(exemplar.time),
        span_id: exemplar.span_id.map(Text),
        source: match &joined.source {
            ExemplarSource::Store => "store",
            ExemplarSource::Upstream(name) => name,
        },
        join: join(&joined.join),
    }
}

fn metric(link: &correlate::MetricLink) -> Metric<'_> {
    Metric {
        metric: &link.metric,
        service: &link.service,
        labels: LabelSet(&link.labels),
        query: &link.query,
        unit: link.unit,
        values: link.values.iter().map(|sample| (Text(sample.time), values::double(sample.value))).collect(),
        join: join(&link.join),
    }
}

fn segment(segment: &correlate::CriticalSegment) -> CriticalSegment<'_> {
    CriticalSegment {
        span_id: Text(segment.span_id),
        service: &segment.service,
        name: &segment.name,
        start_unix_nano: Text(segment.start),
        end_unix_nano: Text(segment.end),
    }
}

fn link(link: &correlate::RelatedLink) -> Link<'_> {
    match &link.target {
        LinkTarget::Path(path) => {
            Link { rel: link.rel, path: Some(path), trace_id: None, span_id: None, from: None }
        }
        LinkTarget::Trace { trace_id, span_id, from } => Link {
            rel: link.rel,
            path: None,
            trace_id: Some(Text(*trace_id)),
            span_id: span_id.map(Text),
            from: Some(Text(*from)),
        },
    }
}
