//! That files are read anew, faults are named, and no secret is told.

use std::sync::Once;

use super::*;

fn shown(credentials: &Credentials) -> Result<String, Fault> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let request = credentials.show(reqwest::Client::new().get("http://h"))?.build().unwrap();
    Ok(request.headers()["authorization"].to_str().unwrap().to_owned())
}

#[test]
fn a_renewed_file_is_taken_and_one_that_is_gone_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let token = Credentials::Bearer(Secret::File(file.clone()));
    for text in ["one", "two\n"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(shown(&token).unwrap(), format!("Bearer {}", text.trim()));
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(shown(&token).unwrap_err().file, file);
    let basic = Credentials::Basic { username: "u".to_owned(), password: Secret::Text("p".to_owned()) };
    assert_eq!(shown(&basic).unwrap(), "Basic dTpw");
}

#[test]
fn no_secret_is_told_in_debugging() {
    let basic = Credentials::Basic { username: "u".to_owned(), password: Secret::Text("hush".to_owned()) };
    assert!(
        !format!("{basic:?} {:?}", Credentials::Bearer(Secret::Text("hush".to_owned()))).contains("hush")
    );
}

#[test]
fn files_that_hold_no_certificates_are_named_with_nothing_of_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
    std::fs::write(of("cert"), made.cert.pem()).unwrap();
    std::fs::write(of("key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(of("text"), "hush").unwrap();
    let give = |ca: &str, own: Option<(&str, &str)>| {
        let own = own.map(|(certificate, key)| (of(certificate), of(key)));
        Certificates { ca_file: Some(of(ca)), own }.give(reqwest::Client::builder())
    };
    assert!(give("cert", Some(("cert", "key"))).is_ok());
    for (ca, own, at_fault) in [
        ("text", None, "text"),
        ("none", None, "none"),
        ("cert", Some(("cert", "text")), "cert"),
        ("cert", Some(("cert", "none")), "none"),
    ] {
        let fault = give(ca, own).map(|_| ()).unwrap_err();
        assert_eq!(fault.file, of(at_fault), "{ca} {own:?}");
        assert!(!fault.to_string().contains("hush"));
    }
}
