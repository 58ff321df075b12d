//! placeholder
use super::Outlet;
use crate::scrape::options::Kubernetes;
pub(super) async fn watch(_: &Kubernetes, _: &Outlet) {}
