//! What a person can say to `trefoil provision grafana`, and the target that it means.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use dashboards::{Neighbour, Source, Target, TargetKind, Token};

/// Grafana cuts or refuses longer uids.
const MAX_UID: usize = 40;

/// Data sources and dashboards for Grafana.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).args(["out", "url"])))]
#[command(group(ArgGroup::new("proof").args(["token", "token_file", "token_env", "token_secret"])))]
pub struct Arguments {
    /// Write files below this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Send everything to the Grafana at this address instead; `GRAFANA_TOKEN` holds a service account's token, or `GRAFANA_USER`
    /// and `GRAFANA_PASSWORD` a person's.
    #[arg(long, value_name = "GRAFANA")]
    pub url: Option<String>,
    /// With `--out`: write nothing, but fail if a file there is not what would be written.
    #[arg(long, conflicts_with = "url")]
    pub check: bool,
    /// What the files are.
    #[arg(long = "as", value_enum, default_value_t = Shape::Files, conflicts_with = "url")]
    pub shape: Shape,
    /// Where Grafana finds Trefoil.
    #[arg(long, value_name = "TREFOIL", default_value = "http://localhost:8080")]
    pub trefoil: String,
    /// The namespace of Kubernetes resources.
    #[arg(long, default_value = "trefoil")]
    pub namespace: String,
    /// The label of the Grafana instances that the operator's resources are for.
    #[arg(long, value_name = "LABEL=VALUE", default_value = "dashboards=grafana", value_parser = label)]
    pub instances: (String, String),
    /// A data source of your own on a server that you keep, to be linked with Trefoil's: its kind (loki, tempo, jaeger, zipkin or
    /// prometheus), its uid and name in Grafana, and its server. Can be given several times.
    #[arg(long, value_name = "KIND,UID,NAME,URL", value_parser = neighbour)]
    pub beside: Vec<Neighbour>,
    /// The token that Grafana shows Trefoil. It ends up in what is written.
    #[arg(long, value_name = "TOKEN", env = "TREFOIL_GRAFANA_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The token is in this file on Grafana's machine.
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<String>,
    /// The token is in this environment variable of Grafana's.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// The token is in this Kubernetes Secret, for the operator.
    #[arg(long, value_name = "SECRET/KEY", value_parser = secret)]
    pub token_secret: Option<Token>,
    /// Write Grafana's correlations too. Its data sources' own links do as much.
    #[arg(long)]
    pub correlations: bool,
}

/// Shapes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// For Grafana's provisioning folder.
    Files,
    /// Kubernetes ConfigMaps (a Secret where there is a token) for the sidecar of Grafana's Helm chart.
    Configmaps,
    /// Resources of the Grafana operator.
    Operator,
}

impl Arguments {
    /// The target that they mean.
    pub fn target(&self) -> Target {
        let namespace = self.namespace.clone();
        let kind = match self.shape {
            _ if self.url.is_some() => TargetKind::HttpApi,
            Shape::Files => TargetKind::File,
            Shape::Configmaps => TargetKind::ConfigMap { namespace },
            Shape::Operator => TargetKind::Operator { namespace, instances: self.instances.clone() },
        };
        let token = self.token.clone().map(Token::Value);
        let token = token.or_else(|| self.token_file.clone().map(Token::File));
        let token = token.or_else(|| self.token_env.clone().map(Token::Environment));
        Target {
            neighbours: self.beside.clone(),
            token: token.or_else(|| self.token_secret.clone()),
            correlations: self.correlations,
            ..Target::new(kind, self.trefoil.as_str())
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected LABEL=VALUE".to_owned()),
    }
}

fn secret(text: &str) -> Result<Token, String> {
    match text.split_once('/') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => {
            Ok(Token::Secret { name: name.to_owned(), key: key.to_owned() })
        }
        _ => Err("expected SECRET/KEY".to_owned()),
    }
}

fn neighbour(text: &str) -> Result<Neighbour, String> {
    let mut parts = text.splitn(4, ',');
    let mut part = || parts.next().filter(|part| !part.is_empty()).ok_or("expected KIND,UID,NAME,URL");
    let (kind, uid, name, url) = (part()?, part()?, part()?, part()?);
    let source = Source::ALL.into_iter().find(|source| source.plugin() == kind);
    let source = source.ok_or_else(|| {
        format!("{kind:?} is no kind: expected {}", Source::ALL.map(Source::plugin).join(", "))
    })?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if uid.len() > MAX_UID || !uid.chars().all(fits) {
        return Err(format!("{uid:?} is no uid: expected at most {MAX_UID} letters, digits, - and _"));
    }
    if Source::ALL.iter().any(|source| source.uid() == uid) {
        return Err(format!("{uid:?} is the uid of one of Trefoil's own"));
    }
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(format!("{url:?} is no address: expected http:// or https://"));
    }
    Ok(Neighbour { source, name: name.to_owned(), uid: uid.to_owned(), url: url.to_owned() })
}
