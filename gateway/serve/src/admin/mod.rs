//! Operations: is the process alive, and which of its parts are ready, what it counts.

mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
pub use routes::{PartState, Readiness};
