//! Version 1: both halves of a call in one span, told apart by annotations, become the one or two reports of version 2.

use parsers::record::SpanKind;

use super::model::{Endpoint, Report};

/// Something with a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Annotation {
    /// Nanoseconds.
    pub time: u64,
    pub value: String,
    pub endpoint: Endpoint,
}

/// A tag, or under `ca`, `sa`, `ma` an address.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BinaryAnnotation {
    pub key: String,
    pub value: String,
    pub endpoint: Endpoint,
}

/// A span of version 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// Ids, name, time and duration.
    pub base: Report,
    pub annotations: Vec<Annotation>,
    pub binary: Vec<BinaryAnnotation>,
}

/// Who did a part of a call: what it notes at the beginning and at the end, and under which key its peer's address is.
struct Role {
    kind: SpanKind,
    begin: &'static str,
    end: &'static str,
    peer: &'static str,
}

/// A caller before whom it calls: the explicit time of a span is its caller's.
const ROLES: [Role; 4] = [
    Role { kind: SpanKind::Client, begin: "cs", end: "cr", peer: "sa" },
    Role { kind: SpanKind::Producer, begin: "ms", end: "ws", peer: "ma" },
    Role { kind: SpanKind::Server, begin: "sr", end: "ss", peer: "ca" },
    Role { kind: SpanKind::Consumer, begin: "wr", end: "mr", peer: "ma" },
];

impl Role {
    fn is_callee(&self) -> bool {
        matches!(self.kind, SpanKind::Server | SpanKind::Consumer)
    }

    /// The annotation that makes a span this role's: `ws` and `wr` alone do not.
    fn is_marked_by(&self, value: &str) -> bool {
        match self.kind {
            SpanKind::Producer => value == "ms",
            SpanKind::Consumer => value == "mr",
            _ => value == self.begin || value == self.end,
        }
    }
}

fn is_address(annotation: &BinaryAnnotation) -> bool {
    matches!(annotation.key.as_str(), "ca" | "sa" | "ma")
        && annotation.value == "true"
        && !annotation.endpoint.is_empty()
}

impl Span {
    /// Gives the one or more reports.
    pub(super) fn into_reports(self, each: &mut dyn FnMut(Report)) {
        let Self { base, annotations, binary } = self;
        let mut halves: Vec<Report> = Vec::new();
        let mut taken: Vec<&str> = Vec::new();
        for role in &ROLES {
            if !annotations.iter().any(|annotation| role.is_marked_by(&annotation.value)) {
                continue;
            }
            let mut half = bare(&base);
            half.kind = Some(role.kind);
            let find = |value: &str| annotations.iter().find(|annotation| annotation.value == value);
            let (begin, end) = (find(role.begin), find(role.end));
            let time = |annotation: Option<&Annotation>| annotation.map_or(0, |annotation| annotation.time);
            let (begun, ended) = (time(begin), time(end));
            let marker = [begin, end].into_iter().flatten().find(|one| !one.endpoint.is_empty());
            half.local = marker.map(|marker| marker.endpoint.clone()).unwrap_or_default();
            half.remote = binary
                .iter()
                .find(|one| one.key == role.peer && is_address(one))
                .map_or_else(Endpoint::default, |address| address.endpoint.clone());
            if halves.is_empty() && base.start > 0 {
                (half.start, half.duration) = (base.start, base.duration);
            } else {
                half.start = if begun > 0 { begun } else { ended };
                // By convention a server that did not begin the span gives it no time.
                half.shared = role.is_callee() && (base.start == 0 || !halves.is_empty());
            }
            if half.duration == 0 && begun > 0 {
                half.duration = ended.saturating_sub(begun);
            }
            taken.extend([role.begin, role.end]);
            halves.push(half);
        }
        if halves.is_empty() {
            halves.push(local(base, &annotations, &binary));
        }
        for annotation in annotations {
            if !taken.contains(&annotation.value.as_str())
                && let Some(half) = half_of(&mut halves, &annotation.endpoint)
            {
                half.annotations.push((annotation.time, annotation.value));
            }
        }
        for annotation in binary {
            // `lc` only marks a span as local, unless it names the component.
            if is_address(&annotation) || (annotation.key == "lc" && annotation.value.is_empty()) {
                continue;
            }
            if let Some(half) = half_of(&mut halves, &annotation.endpoint) {
                half.tags.push((annotation.key, annotation.value));
            }
        }
        halves.into_iter().for_each(each);
    }
}

/// Ids and name.
fn bare(base: &Report) -> Report {
    Report { start: 0, duration: 0, ..base.clone() }
}

/// A span without halves: a client's if it only has a peer's address, else local work.
fn local(base: Report, annotations: &[Annotation], binary: &[BinaryAnnotation]) -> Report {
    let address = |key: &str| {
        let found = binary.iter().find(|annotation| annotation.key == key && is_address(annotation));
        found.map(|annotation| annotation.endpoint.clone())
    };
    let (client, server) = (address("ca"), address("sa"));
    let first = annotations.iter().map(|annotation| &annotation.endpoint);
    let of_tags = binary.iter().filter(|annotation| !is_address(annotation));
    let mut endpoints = first.chain(of_tags.map(|annotation| &annotation.endpoint));
    let noted = endpoints.find(|endpoint| !endpoint.is_empty()).cloned();
    let kind = (server.is_some() || client.is_some()).then_some(match server {
        Some(_) => SpanKind::Client,
        None => SpanKind::Server,
    });
    let (local, remote) = match (client, server) {
        (Some(client), Some(server)) => (noted.or(Some(client)), Some(server)),
        (client, server) => (noted, server.or(client)),
    };
    Report { kind, local: local.unwrap_or_default(), remote: remote.unwrap_or_default(), ..base }
}

/// Whose note this is: the half of the same service, else the first.
fn half_of<'a>(halves: &'a mut [Report], endpoint: &Endpoint) -> Option<&'a mut Report> {
    let index = halves.iter().position(|half| {
        !endpoint.service.is_empty() && half.local.service.eq_ignore_ascii_case(&endpoint.service)
    });
    halves.get_mut(index.unwrap_or(0))
}
