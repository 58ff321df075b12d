use std::path::PathBuf;

use super::*;

fn settings(folder: &Path) -> ServerTls {
    let file = |name: &str| folder.join(name);
    ServerTls { cert_file: file("cert.pem"), key_file: file("key.pem"), client_ca_file: None }
}

/// A new certificate for a name, and its key.
fn made(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn put(settings: &ServerTls, (certificate, key): &(String, String)) {
    std::fs::write(&settings.cert_file, certificate).unwrap();
    std::fs::write(&settings.key_file, key).unwrap();
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_refused_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (one, two) = (made("one"), made("two"));
    put(&settings, &one);
    let certificates = Certificates::load(&settings).unwrap();
    let now = || Arc::clone(&certificates.newest.read().unwrap());
    let first = now();
    assert_eq!(certificates.renew(), None, "nothing has changed");
    std::fs::write(&settings.cert_file, &two.0).unwrap();
    let error = certificates.renew().unwrap().unwrap_err();
    assert!(error.starts_with("server.tls.key_file: "), "a key of another certificate: {error}");
    assert_eq!(certificates.renew(), None, "it is told once");
    assert!(Arc::ptr_eq(&first, &now()), "the one before goes on");
    std::fs::write(&settings.key_file, &two.1).unwrap();
    assert_eq!(certificates.renew(), Some(Ok(())));
    assert!(!Arc::ptr_eq(&first, &now()));
}

#[test]
fn what_cannot_be_used_is_named_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let good = settings(folder.path());
    let (certificate, key) = made("one");
    put(&good, &(certificate, key.clone()));
    let broken = folder.path().join("broken.pem");
    let secret = key.lines().nth(1).unwrap();
    std::fs::write(&broken, format!("-----BEGIN PRIVATE KEY-----\n{secret}%%\n-----END PRIVATE KEY-----\n"))
        .unwrap();
    let with = |key: &str, file: PathBuf| {
        let mut settings = good.clone();
        match key {
            "cert_file" => settings.cert_file = file,
            "key_file" => settings.key_file = file,
            _ => settings.client_ca_file = Some(file),
        }
        settings
    };
    for key in ["cert_file", "key_file", "client_ca_file"] {
        for file in [broken.clone(), folder.path().join("none.pem"), PathBuf::from("/dev/null")] {
            let error = Certificates::load(&with(key, file)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("server.tls.{key}: /")) && !error.contains(secret), "{error}");
        }
    }
}
