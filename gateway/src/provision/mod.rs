//! `trefoil provision grafana`: data sources and dashboards as files, as Kubernetes resources, or through Grafana's API.
//!
//! What is generated is the business of `dashboards`; here it is decided which, and brought to where it belongs.

mod api;
mod arguments;
mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use api::{Access, Grafana};
pub use arguments::Arguments;
pub use files::{Difference, differences, write};

use dashboards::{GeneratedFile, Misfit, Target, TargetKind};

/// Everything for one target, by the place below the folder that was asked for: as Grafana's provisioning folder is laid out, or
/// flat for Kubernetes.
///
/// # Errors
///
/// When the token cannot reach Grafana on this way.
pub fn generated(target: &Target) -> Result<BTreeMap<String, String>, Misfit> {
    let (sources, below) = match target.kind {
        TargetKind::File => ("datasources/trefoil.yaml", "dashboards/trefoil/"),
        _ => ("trefoil-datasources.yaml", ""),
    };
    let mut files = BTreeMap::from([(sources.to_owned(), dashboards::datasources(target)?)]);
    for GeneratedFile { name, contents } in dashboards::dashboards(target) {
        files.insert(format!("{below}{name}"), contents);
    }
    if target.kind == TargetKind::File {
        files.insert("dashboards/trefoil.yaml".to_owned(), PROVIDER.to_owned());
    }
    Ok(files)
}

/// Tells Grafana where the dashboards are: where its container image keeps its provisioning.
const PROVIDER: &str = "\
apiVersion: 1
providers:
  - name: trefoil
    folder: Trefoil
    type: file
    disableDeletion: false
    allowUiUpdates: false
    options:
      path: /etc/grafana/provisioning/dashboards/trefoil
";
