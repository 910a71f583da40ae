//! NATS servers that ask who comes, and show who they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ens::site;

use crate::nats_servers::Cluster;
use crate::site::{join, joining, options_of, until};
use crate::talk::Site;

/// A user's nkey: seed and public key, of NATS's documents.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A broker that comes so.
fn broker(site: &site::Options) -> Site {
    Site::with(&options_of(site))
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Whether a broker has the bus.
fn has_joined(site: &Site) -> bool {
    site.broker.as_ref().unwrap().site().unwrap().is_connected()
}

/// Brokers that may come hear each other; one that may not is alone, and serves its own clients.
fn serves(let_in: &site::Options, refused: &site::Options) {
    let refused = broker(refused);
    let (one, other) = (broker(let_in), broker(let_in));
    until("they are not let in", || {
        has_joined(&one) && has_joined(&other)
    });
    let (publisher, subscriber) = (one.client(false), other.client(false));
    subscriber.subscribe("enp://h/x");
    join(&publisher, &subscriber, "enp://h/x");
    publisher.publish("enp://h/x", "it");
    assert_eq!(subscriber.event().1, "it");

    let own = refused.client(false);
    own.subscribe("enp://h/x");
    own.publish("enp://h/x", "own");
    assert_eq!(own.event().1, "own");
    publisher.publish("enp://h/x", "others'");
    assert_eq!(subscriber.event().1, "others'");
    std::thread::sleep(Duration::from_millis(300));
    own.nothing();
    assert!(!has_joined(&refused));
}

fn with_credentials(url: &str, credentials: PathBuf) -> site::Options {
    site::Options {
        credentials: Some(credentials),
        ..joining(vec![url.into()])
    }
}

#[test]
fn a_password_lets_in_and_its_lack_does_not() {
    let cluster = Cluster::alone_with(&["--user", "ens", "--pass", "open-sesame"]);
    let folder = tempfile::tempdir().unwrap();
    let credentials = file(folder.path(), "nats", "# for NATS\nens:open-sesame\n");
    let wrong = file(folder.path(), "wrong", "ens:shut\n");
    let with = |credentials| with_credentials(&cluster.url(0), credentials);
    serves(&with(credentials), &with(wrong));
}

#[test]
fn an_nkey_lets_in_and_its_lack_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("authorization {{ users: [ {{ nkey: {KEY} }} ] }}\n");
    let config = file(folder.path(), "nats.conf", &text);
    let cluster = Cluster::alone_with(&["--config", config.to_str().unwrap()]);
    let text = format!("-----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n");
    let credentials = file(folder.path(), "seed", &text);
    let let_in = with_credentials(&cluster.url(0), credentials);
    serves(&let_in, &joining(vec![cluster.url(0)]));
}

#[test]
fn tls_is_spoken_with_servers_of_a_trusted_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
    let ca = file(folder.path(), "nats.pem", &made.cert.pem());
    let key = file(folder.path(), "nats.key", &made.signing_key.serialize_pem());
    let stranger = rcgen::generate_simple_self_signed(names).unwrap();
    let stranger = file(folder.path(), "stranger.pem", &stranger.cert.pem());
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let cluster = Cluster::alone_with(&["--tls", "--tlscert", &path(&ca), "--tlskey", &path(&key)]);
    let url = format!("tls://localhost:{}", cluster.port(0));
    let trusting = |ca| site::Options {
        ca: Some(ca),
        ..joining(vec![url.clone()])
    };
    serves(&trusting(ca), &trusting(stranger));
}

#[test]
fn a_server_that_wants_to_see_a_certificate_is_shown_one() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let both = file(
            folder.path(),
            &format!("{name}.both"),
            &format!("{pem}{key}"),
        );
        (file(folder.path(), &format!("{name}.pem"), &pem), both)
    };
    let (ca, server) = made("nats", &["localhost", "127.0.0.1"]);
    let (known, shown) = made("broker", &["broker"]);
    let text = format!(
        "tls {{ cert_file: {server:?}, key_file: {server:?}, ca_file: {known:?}, verify: true }}\n"
    );
    let config = file(folder.path(), "nats.conf", &text);
    let cluster = Cluster::alone_with(&["--config", config.to_str().unwrap()]);
    let showing = |certificate| site::Options {
        ca: Some(ca.clone()),
        certificate,
        ..joining(vec![format!("tls://localhost:{}", cluster.port(0))])
    };
    serves(&showing(Some(shown)), &showing(None));
}
