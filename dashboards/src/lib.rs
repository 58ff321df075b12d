//! Grafana provisioning, generated: typed data sources and panels in, YAML and JSON out.
//!
//! Here live the names of Trefoil's own metrics, the links between the data sources, and the dashboards. Nothing here
//! reads a file, asks a server or knows the gateway: the caller says where Trefoil is found and which shape is wanted.

mod boards;
mod dashboard;
mod datasources;
pub mod metric_names;
mod node;
mod panel;
mod query;
mod red;
mod spans;
mod target;

#[cfg(test)]
mod tests;

pub use datasources::{JAEGER_UID, LOKI_UID, Neighbour, PROMETHEUS_UID, Source, TEMPO_UID, ZIPKIN_UID};
pub use target::{GeneratedFile, Misfit, Target, TargetKind, Token, dashboards, datasources};
