//! Prometheus' own interface, handed on to the server that is configured.

mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
pub use routes::{Forward, ForwardFailure};
