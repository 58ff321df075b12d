//! What Grafana's Loki data source asks for: log and metric queries, labels and their values, series, and a size hint.

mod error;
mod request;
mod response;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
