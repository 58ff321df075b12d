//! Trefoil's own interface: the unified look-up by trace id.

mod analysis;
mod request;
mod response;
mod routes;
mod service_graph;
mod services;
#[cfg(test)]
mod tests;

pub use routes::openapi;
pub(crate) use routes::routes;
