//! Provisioning for Grafana that leads back to this very gateway.

mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;
