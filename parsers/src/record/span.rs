//! Spans: rows over the sender's own bytes on the way in, owned on the way out.

use std::sync::Arc;

use super::{Attributes, ByteRange, Resource, Scope, SpanId, Spelling, TraceId};

/// What a span does in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified = 0,
    /// Work inside a service.
    Internal = 1,
    /// Handles a request.
    Server = 2,
    /// Makes a request.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Handles a message.
    Consumer = 5,
}

impl SpanKind {
    /// From OTLP's number; an unknown one is [`SpanKind::Unspecified`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// Lower case, as TraceQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// Whether the operation succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum StatusCode {
    /// Not said: fine as far as the sender knows.
    #[default]
    Unset = 0,
    /// Declared fine.
    Ok = 1,
    /// Failed.
    Error = 2,
}

impl StatusCode {
    /// From OTLP's number; an unknown one is [`StatusCode::Unset`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// Lower case, as TraceQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// Status with its message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Outcome.
    pub code: StatusCode,
    /// For people; mostly on errors.
    pub message: String,
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// When.
    pub time: u64,
    /// Name; `exception` for exceptions.
    pub name: String,
    /// Attributes.
    pub attributes: Attributes,
}

/// A pointer to another span, perhaps of another trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The other trace; `None` where the sender's id was not one.
    pub trace_id: Option<TraceId>,
    /// The other span.
    pub span_id: Option<SpanId>,
    /// Attributes.
    pub attributes: Attributes,
}

/// One span, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The parent; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C `tracestate`, verbatim.
    pub trace_state: String,
    /// OTLP flags: W3C flags in the low 8 bits, 0x100 and 0x200 say whether the parent is remote.
    pub flags: u32,
    /// Operation.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Start.
    pub start: u64,
    /// End; not before `start` in a sane span, but senders err.
    pub end: u64,
    /// Attributes.
    pub attributes: Attributes,
    /// Events.
    pub events: Vec<Event>,
    /// Links.
    pub links: Vec<Link>,
    /// Outcome.
    pub status: Status,
    /// Who sent it.
    pub resource: Arc<Resource>,
    /// Which library made it.
    pub scope: Arc<Scope>,
}

impl Span {
    /// `end - start`, 0 if the sender's clock ran backwards.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// A resource of a [`SpanBatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    /// `service.name`.
    pub service: Arc<str>,
    /// The OTLP `Resource` message, in [`SpanBatch::bytes`].
    pub payload: ByteRange,
}

/// One span of a [`SpanBatch`]: what is indexed, and where its own bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanRow {
    /// Bits of the trace id, never 0.
    pub trace: u128,
    /// Bits of the span id, never 0.
    pub span: u64,
    /// Bits of the parent's id; 0 for a root.
    pub parent: u64,
    /// Start.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Index into [`SpanBatch::resources`].
    pub resource: u32,
    /// Index into [`SpanBatch::scopes`].
    pub scope: u32,
    /// Operation name (UTF-8, perhaps invalid), in [`SpanBatch::bytes`].
    pub name: ByteRange,
    /// The OTLP `Span` message, in [`SpanBatch::bytes`].
    pub payload: ByteRange,
    /// How the trace id was written.
    pub spelling: Spelling,
    /// Kind.
    pub kind: SpanKind,
    /// Outcome.
    pub status: StatusCode,
}

/// Many spans over one buffer, which is the sender's request body where that was OTLP protobuf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanBatch {
    /// Resources that rows refer to.
    pub resources: Vec<ResourceRow>,
    /// OTLP `InstrumentationScope` messages that rows refer to, in `bytes`.
    pub scopes: Vec<ByteRange>,
    /// The spans.
    pub rows: Vec<SpanRow>,
    /// Everything that ranges point into.
    pub bytes: Vec<u8>,
}

impl SpanBatch {
    /// Bytes held in the buffers: what bounds count.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<SpanRow>()
    }
}
