//! How a command that asks a gateway shows who asks, and which certificates it trusts.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::{Certificate, Client, RequestBuilder, Url};

/// The environment variable that holds a token.
const TOKEN: &str = "TREFOIL_TOKEN";

/// What a person says of it.
#[derive(Debug, Clone, Default, Args)]
pub struct Caller {
    /// A file that holds a token of the gateway with the role `read`; without it, `TREFOIL_TOKEN` may hold one.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificates to trust besides the system's, in PEM.
    #[arg(long, value_name = "FILE", env = "TREFOIL_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A client and the token, which goes to one gateway only.
#[derive(Clone)]
pub struct Known {
    client: Client,
    token: Option<(Url, String)>,
}

impl Caller {
    /// To ask the gateway at this address. An error names the file at fault.
    pub fn of(&self, gateway: &str) -> Result<Known, String> {
        let named = |file: &Path, error: String| format!("{}: {error}", file.display());
        let read = |file: &PathBuf| std::fs::read(file).map_err(|error| named(file, error.to_string()));
        let mut client = Client::builder();
        if let Some(file) = &self.ca_file {
            let certificates = Certificate::from_pem_bundle(&read(file)?);
            let certificates =
                certificates.map_err(|error| named(file, format!("no PEM certificates: {error}")))?;
            client = client.tls_certs_merge(certificates);
        }
        let token = match &self.token_file {
            Some(file) => Some(String::from_utf8_lossy(&read(file)?).trim().to_owned()),
            None => std::env::var(TOKEN).ok(),
        };
        let token = Url::parse(gateway).ok().zip(token.filter(|token| !token.is_empty()));
        Ok(Known { client: client.build().map_err(|error| error.to_string())?, token })
    }
}

impl Known {
    /// `GET` without any token.
    pub fn get_unknown(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    /// `GET`; with the token, if it is the gateway that is asked.
    pub fn get(&self, url: &str) -> RequestBuilder {
        let request = self.client.get(url);
        let asked = Url::parse(url).ok();
        match &self.token {
            Some((gateway, token)) if asked.is_some_and(|asked| asked.origin() == gateway.origin()) => {
                request.bearer_auth(token)
            }
            _ => request,
        }
    }
}
