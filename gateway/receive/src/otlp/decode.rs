//! A request's bytes to a batch, and the response message, which says what was left out.

use std::fmt;

use parsers::otlp::{Promoted, Rejections, Writer, walk_logs, walk_metrics, walk_traces};
use parsers::record::Batch;

use super::{Signal, json};
use crate::LeftOut;
use crate::intake::{Circumstances, Decoded, Rejected};
use crate::tenant::Tenant;
use crate::trouble::Trouble;

/// Reads a request. Of metrics, the resource attributes that are `promoted` become labels.
pub(super) fn decode(
    signal: Signal,
    as_json: bool,
    mut body: Vec<u8>,
    at: &Circumstances,
    promoted: &Promoted,
) -> Result<Decoded<Rejections>, Trouble> {
    let mut rejections = Rejections::default();
    if as_json {
        (body, rejections) = json::to_protobuf(signal, &body)?;
    }
    let mut batch = Batch::default();
    let mut rejected = Rejected::default();
    let (walked, counted) = match signal {
        Signal::Traces => {
            let (spans, walked) = walk_traces(body)?;
            batch.spans = spans;
            (walked, &mut rejected.spans)
        }
        Signal::Logs => {
            let walked =
                walk_logs(&body, at.arrival, Some(&at.deriver), at.tenant.as_ref().map(Tenant::as_str))?;
            (batch.logs, batch.positions) = (walked.logs, walked.positions);
            (walked.rejections, &mut rejected.logs)
        }
        Signal::Metrics => {
            let (metrics, walked) = walk_metrics(&body, at.arrival, promoted)?;
            batch.metrics = metrics;
            (walked, &mut rejected.samples)
        }
    };
    rejections.merge(&walked);
    *counted = rejections.rejected();
    Ok(Decoded { batch, rejected, told: rejections })
}

/// What of a request is not kept: records that are wrong, and samples that the store does not want.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub rejections: Rejections,
    pub left_out: LeftOut,
}

impl Answer {
    /// Whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.rejections.is_empty() && self.left_out.samples == 0
    }

    /// Records that are not kept.
    pub(super) fn rejected(&self) -> u64 {
        self.rejections.rejected() + self.left_out.samples
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejections.fmt(f)?;
        if self.left_out.samples > 0 {
            f.write_str(if self.rejections.is_empty() { "" } else { "; " })?;
            f.write_str(&self.left_out.reason)?;
        }
        Ok(())
    }
}

/// The response message: empty on full success, else `partial_success` with the count and the reasons.
pub(super) fn response(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    if !answer.is_empty() {
        Writer::new(&mut out).message(1, |out| {
            let mut w = Writer::new(out);
            w.varint(1, answer.rejected());
            w.bytes(2, answer.to_string().as_bytes());
        });
    }
    out
}
