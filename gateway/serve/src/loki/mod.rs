//! What Grafana's Loki data source asks for: log and metric queries, labels and their values, series, and
//! how much there is.

mod error;
mod request;
mod response;
mod routes;
#[cfg(test)]
mod tests;
mod volume;

pub(crate) use routes::routes;
