//! What Grafana's Tempo data source asks for: its health check, a trace by id as protobuf, search, tags and their values.

mod error;
mod json;
mod request;
mod response;
mod routes;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
