//! The Loki push receiver: snappy protobuf and JSON, in today's shape and in the one of Loki's first versions. Both end in
//! `pushed`, which makes rows.

mod json;
mod labels;
mod line;
mod proto;
mod pushed;
mod routes;
#[cfg(test)]
mod tests;

use crate::counters::Protocol;
use crate::intake::{Door, Intake};

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct LokiPush {
    door: Door,
}

impl LokiPush {
    /// Over what the gateway's receivers share; a request has at most `max_body` bytes, on the wire and decompressed.
    pub fn new(intake: &Intake, max_body: usize) -> Self {
        Self { door: intake.door(Protocol::LokiPush, max_body) }
    }

    /// `POST /loki/api/v1/push` and its old path `/api/prom/push`, to merge on the main port.
    pub fn http(&self) -> axum::Router {
        routes::router(self.door.clone())
    }
}
