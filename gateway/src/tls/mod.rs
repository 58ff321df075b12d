//! Certificates of the listeners: read from files, and read again when those change. Connections that are open keep what they
//! began with; a certificate that cannot be used is refused and the one before goes on.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, crypto};
use tokio_rustls::TlsAcceptor;

use crate::config::ServerTls;
use crate::renewed::{Renewed, Seen};

/// What is offered: HTTP/2 for gRPC and whoever else has it, HTTP/1.1 for the rest.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate that cannot be used. Nothing of a key is told.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{key}: {}: {problem}", file.display())]
pub struct TlsError {
    key: &'static str,
    file: std::path::PathBuf,
    problem: String,
}

/// The certificates that new connections get.
#[derive(Debug)]
pub struct Certificates {
    settings: ServerTls,
    newest: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
}

impl Certificates {
    /// Reads the files.
    pub fn load(settings: &ServerTls) -> Result<Self, TlsError> {
        let seen = Seen::of(files(settings));
        let newest = RwLock::new(Arc::new(read(settings)?));
        Ok(Self { settings: settings.clone(), newest, seen: Mutex::new(seen) })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Renewed for Certificates {
    fn name(&self) -> &'static str {
        "server.tls"
    }

    fn renew(&self) -> Option<Result<(), String>> {
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).changed(files(&self.settings)) {
            return None;
        }
        let read = read(&self.settings).map_err(|error| error.to_string());
        Some(read.map(|config| {
            *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        }))
    }
}

fn files(settings: &ServerTls) -> impl Iterator<Item = &Path> {
    let always = [settings.cert_file.as_path(), settings.key_file.as_path()];
    always.into_iter().chain(settings.client_ca_file.as_deref())
}

fn read(settings: &ServerTls) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let bad = |key, file: &Path, problem: String| TlsError { key, file: file.to_owned(), problem };
    let key_file = &settings.key_file;
    let chain = certificates("cert_file", &settings.cert_file)?;
    // What it says of a key that is none does not hold the key.
    let key = PrivateKeyDer::from_pem_file(key_file);
    let key = key.map_err(|error| bad("key_file", key_file, format!("no private key in PEM: {error}")))?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| bad("cert_file", &settings.cert_file, error.to_string()))?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let wrong = |problem: String| bad("client_ca_file", file, problem);
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca_file", file)? {
                roots.add(root).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad("key_file", key_file, error.to_string()))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |problem: String| TlsError { key, file: file.to_owned(), problem };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(bad("no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(bad(error.to_string())),
    }
}
