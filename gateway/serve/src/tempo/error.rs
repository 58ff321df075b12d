//! Failures over gRPC, as Tempo tells them there.

use query::QueryError;
use tonic::Status;

use crate::blocking::NotRead;
use crate::failure::{Failure, unreadable};

/// The status.
pub(super) fn status(failure: Failure) -> Status {
    match failure {
        Failure::Refused(detail) => Status::invalid_argument(detail),
        Failure::NotFound(detail) => Status::not_found(detail),
        Failure::NotRead(NotRead::Busy) => Status::unavailable(NotRead::Busy.to_string()),
        Failure::NotRead(error) => Status::internal(error.to_string()),
        Failure::Query(QueryError::Read(error)) => Status::internal(unreadable(&error)),
        Failure::Query(error @ QueryError::Timeout(_)) => Status::deadline_exceeded(error.to_string()),
        Failure::Query(error @ QueryError::Busy(_)) => Status::unavailable(error.to_string()),
        Failure::Query(error) => Status::invalid_argument(error.to_string()),
    }
}
