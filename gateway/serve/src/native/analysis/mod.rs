//! `GET /api/v1/analysis/{variance,compare,versions}`: why times vary, and what is different.

mod compare;
#[cfg(test)]
mod edges;
mod routes;
#[cfg(test)]
mod tests;
mod variance;

pub(super) use routes::*;
