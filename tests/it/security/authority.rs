//! Certificates made for a test, and clients that trust them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client, Identity};
use tests::harness::Http;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The certificate of a program on this machine, and its key.
    pub fn sign(&self, name: &str) -> Result<(String, String)> {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }

    /// The same in files of a folder: certificate, key and the authority's own certificate.
    pub fn put(&self, folder: &Path, name: &str) -> Result<[PathBuf; 3]> {
        let [certificate, key, root] = ["crt", "key", "ca"].map(|end| folder.join(format!("{name}.{end}")));
        let (signed, signing) = self.sign(name)?;
        // Replaced at once, as mounted Secrets are.
        for (file, text) in [(&certificate, &signed), (&key, &signing), (&root, &self.pem)] {
            let new = file.with_extension("new");
            std::fs::write(&new, text)?;
            std::fs::rename(&new, file)?;
        }
        Ok([certificate, key, root])
    }

    /// Trusts this authority alone, and shows a certificate of its own.
    pub fn client(&self, shown: Option<&(String, String)>) -> Result<Client> {
        // Installs the provider.
        Http::new()?;
        let mut client = Client::builder().tls_certs_only([Certificate::from_pem(self.pem.as_bytes())?]);
        if let Some((certificate, key)) = shown {
            client = client.identity(Identity::from_pem(format!("{certificate}\n{key}").as_bytes())?);
        }
        Ok(client.build()?)
    }
}

/// `server` with these files.
pub fn server([certificate, key, _]: &[PathBuf; 3], clients: Option<&Path>) -> String {
    let clients = clients.map(|file| format!(", client_ca_file: '{}'", file.display())).unwrap_or_default();
    format!("tls: {{cert_file: '{}', key_file: '{}'{clients}}}", certificate.display(), key.display())
}
