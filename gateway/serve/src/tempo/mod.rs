//! What Grafana's Tempo data source asks for: its health check, a trace by id, search, metrics, tags and their values, over HTTP
//! and as streams over gRPC.

mod ask;
mod error;
mod grpc;
mod json;
mod labels;
mod message;
mod request;
mod response;
mod routes;
mod search;
#[cfg(test)]
mod tests;
mod virtual_nodes;

pub(crate) use routes::routes;
