//! Grafana provisioning, generated: typed data sources and panels in, YAML and JSON out.
//!
//! Here live the names of Trefoil's own metrics, the links between the three data sources, and the dashboards. Nothing here
//! reads a file, asks a server or knows the gateway: the caller says where Trefoil is found and which shape is wanted.

pub mod datasources;
pub mod metric_names;
mod node;
mod one_request;
mod panel;
mod red;
mod target;

#[cfg(test)]
mod tests;

pub use target::{GeneratedFile, Target, TargetKind, dashboards, datasources};
