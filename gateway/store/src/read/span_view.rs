//! A span as it lies in a block: what its row says is at hand, the rest is looked up in the sender's own bytes when asked for.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use memchr::memmem::Finder;
use parsers::otlp::{Field, Reader, decode_resource, decode_scope, decode_span, decode_value};
use parsers::record::{
    Batch, Resource, Scope, Span, SpanBatch, SpanId, SpanKind, SpanRow, StatusCode, TraceId, Value, attribute,
};

/// Fields of OTLP's `Span` and of the messages in it.
mod number {
    pub const ATTRIBUTES: u32 = 9;
    pub const STATUS: u32 = 15;
    pub const STATUS_MESSAGE: u32 = 2;
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;
}

/// The value of an attribute, not copied where it is a text.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueView<'a> {
    /// Text.
    Str(Cow<'a, str>),
    /// Truth.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Lists, maps, bytes, and nothing.
    Other(Cow<'a, Value>),
}

impl<'a> From<&'a Value> for ValueView<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Str(text) => Self::Str(Cow::Borrowed(text)),
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Double(number) => Self::Double(*number),
            other => Self::Other(Cow::Borrowed(other)),
        }
    }
}

impl<'a> ValueView<'a> {
    /// An `AnyValue` message.
    fn decode(message: &'a [u8]) -> Self {
        match Reader::new(message).read() {
            Ok(Some((1, Field::Bytes(text)))) => Self::Str(String::from_utf8_lossy(text)),
            Ok(Some((2, Field::Varint(bits)))) => Self::Bool(bits != 0),
            Ok(Some((3, Field::Varint(bits)))) => Self::Int(bits as i64),
            Ok(Some((4, Field::Fixed64(bits)))) => Self::Double(f64::from_bits(bits)),
            _ => Self::Other(Cow::Owned(decode_value(message))),
        }
    }
}

/// Spans of one block, whose resources and scopes are decoded once.
#[derive(Debug)]
pub(crate) struct SpanBlock {
    batch: Arc<Batch>,
    resources: Vec<OnceCell<Resource>>,
    scopes: Vec<OnceCell<Scope>>,
}

impl SpanBlock {
    pub(crate) fn new(batch: Arc<Batch>) -> Self {
        let (resources, scopes) = (batch.spans.resources.len(), batch.spans.scopes.len());
        Self {
            batch,
            resources: (0..resources).map(|_| OnceCell::new()).collect(),
            scopes: (0..scopes).map(|_| OnceCell::new()).collect(),
        }
    }

    pub(crate) fn spans(&self) -> &SpanBatch {
        &self.batch.spans
    }

    fn resource(&self, index: u32) -> Option<&Resource> {
        let cell = self.resources.get(index as usize)?;
        let payload = self.spans().resources.get(index as usize)?.payload;
        Some(cell.get_or_init(|| decode_resource(payload.of(&self.spans().bytes))))
    }

    fn scope(&self, index: u32) -> Option<&Scope> {
        let cell = self.scopes.get(index as usize)?;
        let payload = self.spans().scopes.get(index as usize)?;
        Some(cell.get_or_init(|| decode_scope(payload.of(&self.spans().bytes))))
    }

    /// A row's span.
    pub(crate) fn view(&self, row: usize) -> Option<SpanView<'_>> {
        let row = self.spans().rows.get(row)?;
        Some(SpanView {
            trace_id: TraceId::new(row.trace, row.spelling)?,
            span_id: SpanId::new(row.span)?,
            parent: SpanId::new(row.parent),
            start: row.start,
            end: row.end,
            kind: row.kind,
            status: row.status,
            source: Source::Row { block: self, row, decoded: OnceCell::new() },
        })
    }
}

/// One span.
#[derive(Debug, Clone)]
pub struct SpanView<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The parent; `None` for a root.
    pub parent: Option<SpanId>,
    /// Start.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Kind.
    pub kind: SpanKind,
    /// Outcome.
    pub status: StatusCode,
    source: Source<'a>,
}

#[derive(Debug, Clone)]
enum Source<'a> {
    Row { block: &'a SpanBlock, row: &'a SpanRow, decoded: OnceCell<Option<Box<Span>>> },
    Span(Box<Cow<'a, Span>>),
}

impl<'a> From<Cow<'a, Span>> for SpanView<'a> {
    fn from(span: Cow<'a, Span>) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent_span_id,
            start: span.start,
            end: span.end,
            kind: span.kind,
            status: span.status.code,
            source: Source::Span(Box::new(span)),
        }
    }
}

impl<'a> From<&'a Span> for SpanView<'a> {
    fn from(span: &'a Span) -> Self {
        Cow::Borrowed(span).into()
    }
}

/// What a span without one refers to.
static NO_RESOURCE: Resource = Resource { attributes: Vec::new() };
static NO_SCOPE: Scope = Scope { name: String::new(), version: String::new(), attributes: Vec::new() };

impl SpanView<'_> {
    /// `end - start`, 0 if the sender's clock ran backwards.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Operation.
    pub fn name(&self) -> Cow<'_, str> {
        match &self.source {
            Source::Row { block, row, .. } => String::from_utf8_lossy(row.name.of(&block.spans().bytes)),
            Source::Span(span) => Cow::Borrowed(&span.name),
        }
    }

    /// `service.name`, or `unknown_service`.
    pub fn service(&self) -> &str {
        match &self.source {
            Source::Row { block, row, .. } => {
                block.spans().resources.get(row.resource as usize).map_or("", |resource| &resource.service)
            }
            Source::Span(span) => span.resource.service(),
        }
    }

    /// What is said of the outcome.
    pub fn status_message(&self) -> Cow<'_, str> {
        let Source::Row { .. } = &self.source else {
            return self.whole().map_or(Cow::Borrowed(""), |span| Cow::Borrowed(&span.status.message));
        };
        let (mut message, mut reader) = (Cow::Borrowed(""), Reader::new(self.payload()));
        while let Ok(Some((number, field))) = reader.read() {
            let (number::STATUS, Field::Bytes(status)) = (number, field) else { continue };
            let mut status = Reader::new(status);
            while let Ok(Some((number, field))) = status.read() {
                if let (number::STATUS_MESSAGE, Field::Bytes(text)) = (number, field) {
                    message = String::from_utf8_lossy(text);
                }
            }
        }
        message
    }

    fn payload(&self) -> &[u8] {
        match &self.source {
            Source::Row { block, row, .. } => row.payload.of(&block.spans().bytes),
            Source::Span(_) => &[],
        }
    }

    /// Bytes that the sender's span takes; 0 where they are not at hand.
    pub fn size(&self) -> u64 {
        self.payload().len() as u64
    }

    /// Whether these bytes occur in what the span itself says: a cheap look before [`SpanView::whole`]. True where the sender's
    /// bytes are not at hand.
    pub fn mentions(&self, bytes: &Finder<'_>) -> bool {
        matches!(self.source, Source::Span(_)) || bytes.find(self.payload()).is_some()
    }

    /// The span's own attribute of this key, the first if there are several.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'_>> {
        if let Source::Span(span) = &self.source {
            return attribute(&span.attributes, key).map(ValueView::from);
        }
        let mut reader = Reader::new(self.payload());
        while let Ok(Some((number, field))) = reader.read() {
            if let (number::ATTRIBUTES, Field::Bytes(pair)) = (number, field)
                && let Some((_, value)) = key_value(pair, Some(key.as_bytes()))
            {
                return Some(ValueView::decode(value));
            }
        }
        None
    }

    /// All attributes of the span itself, in order.
    pub fn attributes(&self, each: &mut dyn FnMut(&str, ValueView<'_>)) {
        if let Source::Span(span) = &self.source {
            span.attributes.iter().for_each(|(key, value)| each(key, value.into()));
            return;
        }
        let mut reader = Reader::new(self.payload());
        while let Ok(Some((number, field))) = reader.read() {
            if let (number::ATTRIBUTES, Field::Bytes(pair)) = (number, field)
                && let Some((key, value)) = key_value(pair, None)
            {
                each(&String::from_utf8_lossy(key), ValueView::decode(value));
            }
        }
    }

    /// Who sent it.
    pub fn resource(&self) -> &Resource {
        match &self.source {
            Source::Row { block, row, .. } => block.resource(row.resource).unwrap_or(&NO_RESOURCE),
            Source::Span(span) => &span.resource,
        }
    }

    /// Which library made it.
    pub fn scope(&self) -> &Scope {
        match &self.source {
            Source::Row { block, row, .. } => block.scope(row.scope).unwrap_or(&NO_SCOPE),
            Source::Span(span) => &span.scope,
        }
    }

    /// All of it, decoded once; for what is rarely asked for, as events and links. `None` if the payload is damaged.
    pub fn whole(&self) -> Option<&Span> {
        match &self.source {
            Source::Span(span) => Some(span),
            Source::Row { decoded, .. } => decoded.get_or_init(|| self.to_span().map(Box::new)).as_deref(),
        }
    }

    /// An owned copy. `None` if the payload is damaged.
    pub fn to_span(&self) -> Option<Span> {
        match &self.source {
            Source::Span(span) => Some((**span).clone().into_owned()),
            Source::Row { row, .. } => {
                let (resource, scope) = (self.resource().clone(), self.scope().clone());
                decode_span(self.payload(), row.spelling, Arc::new(resource), Arc::new(scope))
            }
        }
    }
}

/// Key and value of a pair, if the key is the one that is wanted. A repeated field counts as it came last, as protobuf has it.
fn key_value<'a>(pair: &'a [u8], wanted: Option<&[u8]>) -> Option<(&'a [u8], &'a [u8])> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    let mut reader = Reader::new(pair);
    while let Ok(Some((number, field))) = reader.read() {
        match (number, field) {
            (number::KEY, Field::Bytes(bytes)) => {
                // The key comes first from every known writer: another one's value needs no look.
                if value.is_empty() && key.is_empty() && wanted.is_some_and(|wanted| wanted != bytes) {
                    return None;
                }
                key = bytes;
            }
            (number::VALUE, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    wanted.is_none_or(|wanted| wanted == key).then_some((key, value))
}
