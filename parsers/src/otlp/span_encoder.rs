//! Spans of other protocols to a batch: each encoded once as the OTLP message that the store keeps.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::{ByteRange, Resource, ResourceRow, Scope, Span, SpanBatch, SpanRow, Value};

use super::{MAX_RECORDS, Reason, encode_resource, encode_scope, encode_span, traces};

/// Makes a [`SpanBatch`] of owned spans. Resources and scopes that are equal are written once.
#[derive(Debug, Default)]
pub struct SpanEncoder {
    batch: SpanBatch,
    resources: Known<Resource>,
    scopes: Known<Scope>,
}

/// What was written already, by its bytes, and by its address where others hold it too, so that it comes again.
#[derive(Debug)]
struct Known<T> {
    by_address: Vec<(Arc<T>, u32)>,
    by_bytes: HashMap<Box<[u8]>, u32>,
}

/// Values remembered by their address. One or two alternate in a request; each may be large, so more are not held.
const REMEMBERED: usize = 16;

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { by_address: Vec::new(), by_bytes: HashMap::new() }
    }
}

impl<T> Known<T> {
    /// The index of this one; `add` is called with its bytes if it is new.
    fn index(
        &mut self,
        one: &Arc<T>,
        encode: fn(&T, &mut Vec<u8>),
        add: impl FnOnce(&[u8], &T) -> u32,
    ) -> u32 {
        if let Some((_, index)) = self.by_address.iter().rev().find(|(known, _)| Arc::ptr_eq(known, one)) {
            return *index;
        }
        let mut bytes = Vec::new();
        encode(one, &mut bytes);
        let index = match self.by_bytes.get(&bytes[..]) {
            Some(index) => *index,
            None => {
                let index = add(&bytes, one);
                self.by_bytes.insert(bytes.into(), index);
                index
            }
        };
        if Arc::strong_count(one) > 1 {
            if self.by_address.len() >= REMEMBERED {
                self.by_address.clear();
            }
            self.by_address.push((Arc::clone(one), index));
        }
        index
    }
}

/// Appends bytes; where they lie.
fn put(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> ByteRange {
    let start = buffer.len() as u32;
    write(buffer);
    ByteRange { start, end: buffer.len() as u32 }
}

/// Bytes of a batch past which no more are taken: ranges count in 32 bits, and one more span stays far below the rest.
const MAX_BYTES: usize = 1 << 31;

impl SpanEncoder {
    /// Adds a span. [`Reason::TooMany`] if there are as many as one request may hold.
    pub fn push(&mut self, span: &Span) -> Result<(), Reason> {
        let Self { batch, resources, scopes } = self;
        if batch.rows.len() >= MAX_RECORDS || batch.bytes.len() >= MAX_BYTES {
            return Err(Reason::TooMany);
        }
        let resource = resources.index(&span.resource, encode_resource, |bytes, resource| {
            let payload = put(&mut batch.bytes, |out| out.extend_from_slice(bytes));
            batch.resources.push(ResourceRow { service: resource.service().into(), payload });
            batch.resources.len() as u32 - 1
        });
        let scope = scopes.index(&span.scope, encode_scope, |bytes, _| {
            batch.scopes.push(put(&mut batch.bytes, |out| out.extend_from_slice(bytes)));
            batch.scopes.len() as u32 - 1
        });
        let payload = put(&mut batch.bytes, |out| encode_span(span, out));
        // The row is what the walk makes of the message, so that both ways in agree.
        let row = traces::span(&batch.bytes, payload).map_err(|_| Reason::Malformed)??;
        let spelling = span.trace_id.spelling();
        batch.rows.push(SpanRow { resource, scope, payload, spelling, ..row });
        Ok(())
    }

    /// All that was added.
    pub fn finish(self) -> SpanBatch {
        self.batch
    }
}

/// Gives resources of a batch more attributes, before those that they have: what `more` says for each one's message. One of them is
/// written anew behind the sender's bytes; there are at most [`MAX_RECORDS`] of them.
pub fn add_to_resources(spans: &mut SpanBatch, mut more: impl FnMut(&[u8]) -> Vec<(String, String)>) {
    let SpanBatch { bytes, resources, .. } = spans;
    for resource in resources {
        let added = more(resource.payload.of(bytes));
        if added.is_empty() {
            continue;
        }
        let attributes = added.into_iter().map(|(key, value)| (key, Value::Str(value))).collect();
        let mut added = Vec::new();
        encode_resource(&Resource { attributes }, &mut added);
        let own = resource.payload.start as usize..resource.payload.end as usize;
        // Ranges count in 32 bits; a batch as large as that is one that no receiver lets in.
        if bytes.len() + added.len() + own.len() > u32::MAX as usize || own.end > bytes.len() {
            return;
        }
        resource.payload = put(bytes, |out| {
            out.extend_from_slice(&added);
            out.extend_from_within(own);
        });
    }
}
