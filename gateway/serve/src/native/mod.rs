//! Trefoil's own interface: the unified look-up by trace id.

mod absence;
mod analysis;
mod correlate;
mod exemplars;
mod known;
mod near;
mod patterns;
mod request;
mod response;
mod routes;
mod service_graph;
mod services;
mod shape;
#[cfg(test)]
mod tests;

pub use routes::openapi;
pub(crate) use routes::routes;
pub(crate) use shape::encoded;
