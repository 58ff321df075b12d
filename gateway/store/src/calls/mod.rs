//! Who called whom, how often, how long, and with what outcome: a sheet a segment, by the minute in which spans started, so
//! that a window of time is answered without reading the spans again.
//!
//! A call is a span and the span that made it, of another service or as its client. Calls whose halves lie in different
//! segments are put together when sheets are; what a client says of a peer that sends no spans counts as a call of that
//! peer. Whoever takes messages has as many calls as it links to senders that are known. Nothing here knows of HTTP, of names of metrics, or of what the answer is for.

mod codec;
mod gather;
mod pairing;
mod sheet;
mod sketch;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parsers::record::{SpanKind, TraceId};

pub(crate) use gather::Gather;
pub(crate) use sheet::Sheet;
pub use sketch::Sketch;

use crate::read::Window;

/// Nanoseconds in a minute: spans are counted by the one in which they started.
pub(crate) const MINUTE: u64 = 60_000_000_000;

/// How long the other side of a call is waited for, in nanoseconds: SDKs send what ended within five seconds. Tempo's default,
/// too.
pub const PAIRING_WAIT: u64 = 10_000_000_000;

/// How caller and callee are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Connection {
    /// Both send spans, and one calls the other.
    Direct = 0,
    /// Both send spans, and one sends the other messages.
    Messages = 1,
    /// The callee is a database.
    Database = 2,
    /// The callee is a queue of which no consumer is known.
    ToQueue = 3,
    /// The caller is a queue of which the producer is not known.
    FromQueue = 4,
    /// The callee sends no spans.
    External = 5,
    /// A root span: the caller is called [`USER`].
    User = 6,
}

impl Connection {
    const ALL: [Self; 7] = [
        Self::Direct,
        Self::Messages,
        Self::Database,
        Self::ToQueue,
        Self::FromQueue,
        Self::External,
        Self::User,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Who calls where a trace begins.
pub const USER: &str = "user";
/// Stands for services and operations past the number that is told apart.
pub const OTHERS: &str = "(others)";

/// One operation of a service in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationCalls {
    /// `service.name`.
    pub service: Arc<str>,
    /// Name of the spans, or [`OTHERS`].
    pub name: Arc<str>,
    /// Their kind.
    pub kind: SpanKind,
    /// A request enters the service by it: servers, consumers, roots, and what another service is the parent of.
    pub entry: bool,
    /// Spans.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// How long they took.
    pub latency: Sketch,
}

/// Calls of one service by another in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeCalls {
    /// Who calls.
    pub client: Arc<str>,
    /// Who is called.
    pub server: Arc<str>,
    /// How.
    pub connection: Connection,
    /// How often.
    pub calls: u64,
    /// How many of them failed, as either side has it.
    pub failed: u64,
    /// How long they took as callers have it; a call whose caller sent no span of it is missing.
    pub client_latency: Sketch,
    /// How long they took as callees have it; empty where those send no spans.
    pub server_latency: Sketch,
    /// How long messages waited, from the end of the sender's span to the start of the taker's; empty for other calls.
    pub queue_latency: Sketch,
    /// Traces in which it was called: the slowest, one that failed, one of the newest; each once.
    pub examples: Vec<TraceId>,
}

/// What the spans of a window say.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// The window that was asked for, widened to whole minutes.
    pub window: Window,
    /// By service, name, kind and entry, sorted.
    pub operations: Vec<OperationCalls>,
    /// By client, server and connection, sorted.
    pub edges: Vec<EdgeCalls>,
    /// Halves of calls whose other half was not found, and which name no peer.
    pub unpaired: u64,
    /// Halves of calls that ended less than [`PAIRING_WAIT`] ago and whose other half may still arrive: they are no edges yet.
    pub pending: u64,
    /// Blocks that could not be read.
    pub damaged_blocks: u64,
    /// When the oldest stored span started, if that is known.
    pub begins: Option<u64>,
}
