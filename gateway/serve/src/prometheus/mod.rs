//! Prometheus' own interface, handed on to the server that is configured, or answered from what is stored if none is; its
//! exemplars are joined with those that are stored and those that spans make.

mod embedded;
mod error;
mod federate;
mod merged;
mod place;
mod request;
mod response;
mod result;
mod routes;
mod targets;
#[cfg(test)]
mod tests;

pub(crate) use error::error;
pub(crate) use place::exemplars;
pub(crate) use routes::routes;
pub use routes::{Forward, ForwardFailure};
