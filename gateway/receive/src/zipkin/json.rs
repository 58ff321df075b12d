//! Zipkin's JSON, versions 1 and 2: a list, each element of which is read on its own, so that a bad span loses no other.

use std::fmt;
use std::net::IpAddr;

use parsers::record::{SpanId, SpanKind, TraceId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Version;
use super::model::{Bad, Endpoint, Report, span_of, trace_of};
use super::scalar::{List, Micros, Port, Tags, Text};
use super::v1::{self, Annotation, BinaryAnnotation};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EndpointJson {
    service_name: Text,
    ipv4: Text,
    ipv6: Text,
    port: Port,
}

impl From<EndpointJson> for Endpoint {
    fn from(json: EndpointJson) -> Self {
        let ip = |text: Text| text.0.and_then(|text| text.parse::<IpAddr>().ok());
        Self {
            service: json.service_name.0.unwrap_or_default(),
            ip: ip(json.ipv4).or_else(|| ip(json.ipv6)),
            port: json.port.0,
        }
    }
}

fn endpoint(json: Option<EndpointJson>) -> Endpoint {
    json.map(Into::into).unwrap_or_default()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnnotationJson {
    timestamp: Micros,
    value: Text,
    endpoint: Option<EndpointJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BinaryAnnotationJson {
    key: Text,
    value: Text,
    endpoint: Option<EndpointJson>,
}

/// A span of either version; which keys it may have depends on the version.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpanJson {
    trace_id: Option<String>,
    id: Option<String>,
    parent_id: Option<String>,
    name: Text,
    timestamp: Micros,
    duration: Micros,
    debug: Option<bool>,
    annotations: List<AnnotationJson>,
    // Version 2 only.
    kind: Option<String>,
    local_endpoint: Option<EndpointJson>,
    remote_endpoint: Option<EndpointJson>,
    shared: Option<bool>,
    tags: Option<Tags>,
    // Version 1 only.
    binary_annotations: Option<List<BinaryAnnotationJson>>,
}

/// Why a body is not taken at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBody {
    #[error("bad JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("expected Zipkin {expected} JSON, came Zipkin {came}: send it to /api/{came}/spans")]
    Version { expected: Version, came: Version },
}

/// Reads a list; `each` gets every span's reports, or what is wrong with it.
pub(super) fn read(
    version: Version,
    body: &str,
    mut each: impl FnMut(Result<Report, Bad>),
) -> Result<(), BadBody> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut mismatch = None;
    let mut json = serde_json::Deserializer::from_str(body);
    let elements = Elements(|element: &RawValue| match serde_json::from_str::<SpanJson>(element.get()) {
        Err(error) => each(Err(Bad::malformed(error.to_string()))),
        Ok(span) if span.version().is_some_and(|came| came != version) => {
            mismatch = span.version();
        }
        Ok(span) => match version {
            Version::V2 => each(span.into_report()),
            Version::V1 => match span.into_v1() {
                Ok(span) => span.into_reports(&mut |report| each(Ok(report))),
                Err(bad) => each(Err(bad)),
            },
        },
    });
    elements.deserialize(&mut json)?;
    json.end()?;
    match mismatch {
        Some(came) => Err(BadBody::Version { expected: version, came }),
        None => Ok(()),
    }
}

/// Every element of a list, one at a time.
struct Elements<F>(F);

impl<'de, F: FnMut(&'de RawValue)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element::<&RawValue>()? {
            (self.0)(element);
        }
        Ok(())
    }
}

impl SpanJson {
    /// The version that it must be of, if a key says so.
    fn version(&self) -> Option<Version> {
        if self.binary_annotations.is_some() {
            Some(Version::V1)
        } else if self.tags.is_some() || self.local_endpoint.is_some() || self.remote_endpoint.is_some() {
            Some(Version::V2)
        } else {
            None
        }
    }

    /// What both versions have.
    fn base(&mut self) -> Result<Report, Bad> {
        let trace = self.trace_id.as_deref().unwrap_or_default();
        let id = self.id.as_deref().unwrap_or_default();
        let mut report = Report::new(
            trace_of(TraceId::from_hex(trace.as_bytes()))?,
            span_of(SpanId::from_hex(id.as_bytes()))?,
        );
        // A parent that is not an id is no parent.
        report.parent = self.parent_id.as_deref().and_then(|parent| SpanId::from_hex(parent.as_bytes()).ok());
        report.name = self.name.0.take().unwrap_or_default();
        (report.start, report.duration) = (self.timestamp.0, self.duration.0);
        report.debug = self.debug.unwrap_or(false);
        Ok(report)
    }

    fn into_report(mut self) -> Result<Report, Bad> {
        let mut report = self.base()?;
        report.kind = self.kind.as_deref().and_then(kind);
        report.local = endpoint(self.local_endpoint);
        report.remote = endpoint(self.remote_endpoint);
        report.shared = self.shared.unwrap_or(false);
        report.tags = self.tags.unwrap_or_default().0;
        let annotation = |json: AnnotationJson| Some((json.timestamp.0, json.value.0?));
        report.annotations = self.annotations.0.into_iter().filter_map(annotation).collect();
        Ok(report)
    }

    fn into_v1(mut self) -> Result<v1::Span, Bad> {
        let base = self.base()?;
        let annotation = |json: AnnotationJson| {
            let endpoint = endpoint(json.endpoint);
            Some(Annotation { time: json.timestamp.0, value: json.value.0?, endpoint })
        };
        let binary = |json: BinaryAnnotationJson| {
            let endpoint = endpoint(json.endpoint);
            Some(BinaryAnnotation { key: json.key.0?, value: json.value.0?, endpoint })
        };
        Ok(v1::Span {
            base,
            annotations: self.annotations.0.into_iter().filter_map(annotation).collect(),
            binary: self.binary_annotations.unwrap_or_default().0.into_iter().filter_map(binary).collect(),
        })
    }
}

fn kind(text: &str) -> Option<SpanKind> {
    match text.to_ascii_uppercase().as_str() {
        "CLIENT" => Some(SpanKind::Client),
        "SERVER" => Some(SpanKind::Server),
        "PRODUCER" => Some(SpanKind::Producer),
        "CONSUMER" => Some(SpanKind::Consumer),
        _ => None,
    }
}
