//! Prometheus' own interface, handed on to the server that is configured.

mod exemplars;
mod routes;
#[cfg(test)]
mod tests;

pub use routes::{Forward, ForwardFailure};
pub(crate) use routes::{error, routes};
