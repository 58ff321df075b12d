//! What Grafana's Tempo data source asks for: its health check, and a trace by id as protobuf.

mod response;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
