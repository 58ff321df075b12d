//! Trefoil's own interface: the unified look-up by trace id.

mod response;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
