//! How other servers know us, and we them: credentials, a certificate of our own, and whom we trust. Whom to ask, and what, is
//! the business of the crates that ask.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity, RequestBuilder};

#[cfg(test)]
mod tests;

/// What only a server and we know.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file that holds it, read for every request, since tokens are renewed.
    File(PathBuf),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(file) => write!(f, "File({})", file.display()),
        }
    }
}

impl Secret {
    /// The secret, without the line's end of a file, or why it cannot be had.
    fn read(&self) -> Result<String, Fault> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| Fault::new(file, error))?;
                Ok(text.trim().to_owned())
            }
        }
    }
}

/// How a server knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Basic`
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: Bearer`
    Bearer(Secret),
}

impl Credentials {
    /// The request with them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn show(&self, request: RequestBuilder) -> Result<RequestBuilder, Fault> {
        Ok(match self {
            Self::Bearer(token) => request.bearer_auth(token.read()?),
            Self::Basic { username, password } => request.basic_auth(username, Some(password.read()?)),
        })
    }
}

/// A file of credentials or certificates, and what is wrong with it. Nothing of what it holds is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", file.display())]
pub struct Fault {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong.
    pub detail: String,
}

impl Fault {
    fn new(file: &Path, detail: impl ToString) -> Self {
        Self { file: file.to_owned(), detail: detail.to_string() }
    }
}

/// The certificates in a PEM file.
///
/// # Errors
///
/// When there are none.
pub fn certificates(file: &Path) -> Result<Vec<Certificate>, Fault> {
    let pem = std::fs::read(file).map_err(|error| Fault::new(file, error))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| Fault::new(file, error))?;
    if found.is_empty() {
        return Err(Fault::new(file, "no PEM certificates"));
    }
    Ok(found)
}

/// Whom a connection trusts, and by which certificate a server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificates {
    /// Trusted besides the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own and its key, in PEM.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// A client that has them.
    ///
    /// # Errors
    ///
    /// When a file does not hold what it should.
    pub fn give(&self, mut client: ClientBuilder) -> Result<ClientBuilder, Fault> {
        if let Some(file) = &self.ca_file {
            client = client.tls_certs_merge(certificates(file)?);
        }
        if let Some((certificate, key)) = &self.own {
            client = client.identity(identity(certificate, key)?);
        }
        Ok(client)
    }
}

/// Our own certificate. Of a key, nothing is told but where it lies.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, Fault> {
    let read = |file: &Path| std::fs::read(file).map_err(|error| Fault::new(file, error));
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Identity::from_pem(&pem)
        .map_err(|_| Fault::new(certificate, format!("no certificate with its key in {}", key.display())))
}
