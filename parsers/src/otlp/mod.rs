//! OTLP protobuf by hand: one pass over a body gives rows that point into it, and the few records that an answer needs are
//! decoded to owned ones later.
//!
//! Here live the wire format ([`Reader`], [`Writer`]), the walks over the three export requests, and spans, resources and
//! scopes to and fro. HTTP, gRPC, compression and JSON are the receiver's. A body whose outer structure is broken is a
//! [`WalkError`]; a record that the protocol does not allow is left out alone and counted in [`Rejections`].

mod decode;
mod encode;
mod exponential;
mod logs;
mod metric_names;
mod metrics;
mod own;
mod peer;
mod rejections;
mod span_encoder;
mod target;
mod traces;
mod wire;

#[cfg(test)]
mod tests;

pub use decode::{decode_resource, decode_scope, decode_span, decode_value};
pub use encode::{encode_resource, encode_scope, encode_span, encode_value};
pub use logs::{WalkedLogs, walk_logs};
pub use metrics::walk_metrics;
pub use own::encode_own_logs;
pub use peer::{MAX_LINKS, Peer, PeerKind, links, peer};
pub use rejections::{Reason, Rejections};
pub use span_encoder::{SpanEncoder, add_to_resources};
pub use target::{PROMOTED, Promoted};
pub use traces::walk_traces;
pub use wire::{Field, Reader, WalkError, Writer};

/// Most records that one request may hold. A record can be two bytes on the wire and over a hundred as a row, so the body's
/// own limit does not bound memory; real exporters send hundreds to a few thousands.
pub const MAX_RECORDS: usize = 1 << 19;

/// Bytes of a label's name or value. Labels live in the index, unlike metadata.
const MAX_LABEL: usize = crate::record::MAX_LABEL_BYTES;
