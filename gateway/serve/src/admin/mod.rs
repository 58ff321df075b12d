//! Operations: is the process alive, and which of its parts are ready, what it counts.

mod routes;

pub(crate) use routes::routes;
pub use routes::{PartState, Readiness};
