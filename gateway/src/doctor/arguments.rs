//! What a person can say to `trefoil doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::caller::Caller;

/// Follow one real request through every link of Grafana's data sources.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The gateway whose generated data sources are followed.
    #[arg(long, env = "TREFOIL_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Follow the data sources of this provisioning file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "grafana")]
    pub datasources: Option<PathBuf>,
    /// Follow the data sources of this Grafana instead; `GRAFANA_TOKEN` holds a service account's token, or `GRAFANA_USER` and
    /// `GRAFANA_PASSWORD` a person's.
    #[arg(long, value_name = "GRAFANA")]
    pub grafana: Option<String>,
    /// The trace to start from (default: the newest with log lines that is none of Trefoil's own).
    #[arg(long)]
    pub id: Option<String>,
    /// What was found as JSON.
    #[arg(long)]
    pub json: bool,
    /// Who asks the gateway.
    #[command(flatten)]
    pub caller: Caller,
}
