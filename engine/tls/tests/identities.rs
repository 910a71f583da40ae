//! What an administrator's files may have wrong, and what is said then.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use support::pem;
use tls::Identity;

/// PEM texts: a certificate by an authority, the authority's own, and the former's key.
fn issued() -> (String, String, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "authority");
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["mail.example".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "mail");
    params.not_after = date_time_ymd(2030, 1, 2);
    let own = params.signed_by(&key, &issuer).unwrap();
    (own.pem(), authority.pem(), key.serialize_pem())
}

fn said(chain: &str, key: &str) -> String {
    match Identity::from_pem(chain.as_bytes(), key.as_bytes()) {
        Ok(_) => "good".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_chain_with_its_key_says_its_names_and_its_end() {
    let (own, authority, key) = issued();
    let chain = format!("{own}{authority}");
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(identity.names(), ["mail.example"]);
    // 2030-01-02 00:00:00 UTC.
    assert_eq!(identity.not_after(), 1_893_542_400);
    assert!(!identity.is_self_signed());
    let (chain, key) = pem(&["Mail.Example", "*.mail.example"]);
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(identity.names(), ["mail.example", "*.mail.example"]);
    assert!(identity.is_self_signed());
}

#[test]
fn what_does_not_belong_together_is_said() {
    let (own, authority, key) = issued();
    let (other, other_key) = pem(&["other.example"]);
    let turned = format!("{authority}{own}");
    assert_eq!(
        said(&own, &other_key),
        "the private key is not that of the chain's first certificate"
    );
    let order = "certificate 1 of the chain is not by the holder of certificate 2";
    assert!(said(&turned, &key).starts_with(order));
    assert!(said(&format!("{own}{other}"), &key).starts_with(order));
    // In order, and with the key of the second.
    let (first, second, _) = issued();
    let _ = second;
    assert_eq!(
        said(&first, &key),
        "the private key is not that of the chain's first certificate"
    );
}

#[test]
fn what_is_missing_or_broken_is_said_with_its_file() {
    let (own, _, key) = issued();
    assert!(said("", &key).starts_with("holds no certificate"));
    assert!(said(&own, "").starts_with("holds no private key"));
    assert!(said(&own, &own).starts_with("holds no private key"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(said(broken, &key).starts_with("certificate 1 of the chain cannot be read"));
    assert!(said(&format!("{own}{broken}"), &key).starts_with("certificate 2 of the chain"));

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (chain, other) = (file("chain.pem", &own), file("key.pem", &pem(&["x"]).1));
    let error = Identity::read(&chain, &other).unwrap_err().to_string();
    assert!(
        error.contains("chain.pem") && error.contains("key.pem"),
        "{error}"
    );
    let absent = folder.path().join("absent.pem");
    let error = Identity::read(&absent, &other).unwrap_err().to_string();
    assert!(error.contains("absent.pem"), "{error}");
    Identity::read(&chain, &file("own.pem", &key)).unwrap();
}
