//! The Zipkin receiver: versions 1 and 2 in JSON, protobuf and thrift. Every encoding ends in the reports of `model`, from
//! which spans are made.

mod annotation;
mod json;
mod model;
mod proto;
mod routes;
mod scalar;
#[cfg(test)]
mod tests;
mod thrift;
mod v1;

use std::fmt;

use axum::Router;

use crate::Intake;
use crate::span_intake::SpanIntake;
use crate::thrift::{Kind, Reader, ThriftError};
use crate::translated::Translated;
use crate::wrong_path::alone;
use model::{Bad, Report};

/// The two versions of the span model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct Zipkin {
    intake: SpanIntake,
}

impl Zipkin {
    /// Over what the gateway's receivers share; a request has at most `max_body` bytes, on the wire and decompressed.
    pub fn new(intake: &Intake, max_body: usize) -> Self {
        Self { intake: SpanIntake::new(intake.door(crate::Protocol::Zipkin, max_body)) }
    }

    /// `POST /api/v2/spans` and `/api/v1/spans`, to merge on the main port.
    pub fn http(&self) -> Router {
        routes::router(self.intake.clone())
    }

    /// As [`Zipkin::http`], and `/health` and `/info`, for port 9411.
    pub fn port(&self) -> Router {
        alone(self.http().merge(routes::health()), "POST to /api/v2/spans and /api/v1/spans")
    }
}

/// A span of the request that is being read.
fn put(report: Result<Report, Bad>, into: &mut Translated) {
    match report {
        Ok(report) => {
            let span = report.into_span(into.arrival());
            into.push(&span);
        }
        Err(bad) => into.leave_out(bad.reason, || bad.detail),
    }
}

/// The list of version 1 spans in the call of an agent's datagram, if that is what comes.
pub(crate) fn datagram_spans(
    reader: &mut Reader<'_>,
    kind: Kind,
    into: &mut Translated,
) -> Result<(), ThriftError> {
    thrift::read(reader, kind, &mut |report| put(report, into))
}
