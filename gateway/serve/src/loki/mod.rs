//! What Grafana's Loki data source asks for: log and metric queries, labels and their values, series, how much there is,
//! what Logs Drilldown wants to know, and lines as they arrive.

mod drilldown;
mod patterns;
mod request;
mod response;
mod routes;
mod tail;
#[cfg(test)]
mod tests;
mod volume;

pub(crate) use routes::routes;
pub use tail::{Follow, Tails};
