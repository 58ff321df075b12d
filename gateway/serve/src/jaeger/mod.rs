//! What Grafana's Jaeger data source and Jaeger's own page ask for: services, operations, search, traces, dependencies, and the
//! third version of the interface, which answers in OTLP's JSON.

mod error;
mod operations;
mod request;
mod response;
mod routes;
#[cfg(test)]
mod tests;
mod third;

pub(crate) use error::error;
pub(crate) use routes::routes;
