//! The Prometheus remote-write receiver, 1.0 and 2.0. Both messages end in `written`, which makes rows.

mod proto;
mod proto_two;
mod routes;
#[cfg(test)]
mod tests;
mod written;

use crate::counters::Protocol;
use crate::intake::{Door, Intake};

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct RemoteWrite {
    door: Door,
}

impl RemoteWrite {
    /// Over what the gateway's receivers share; a request has at most `max_body` bytes, on the wire and decompressed.
    pub fn new(intake: &Intake, max_body: usize) -> Self {
        Self { door: intake.door(Protocol::RemoteWrite, max_body) }
    }

    /// `POST /api/v1/write`, to merge on the main port.
    pub fn http(&self) -> axum::Router {
        routes::router(self.door.clone())
    }
}
