//! What Grafana's Zipkin data source and Zipkin's own page ask for: services, span names, search, traces by id, dependencies and
//! what completes tags.

mod request;
mod response;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
