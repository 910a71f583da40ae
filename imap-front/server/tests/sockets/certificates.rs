//! Certificates: which a client is shown, what is said of them, and who may resume.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{CertificateParams, KeyPair};

use crate::site::Site;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

/// A chain and its key, for these names, that ends in so many days from yesterday, an hour
/// earlier.
fn put(folder: &Path, file: &str, names: &[&str], days: u32) {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now.unwrap() + DAY * days - DAY - HOUR;
    let key = KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap();
    fs::write(folder.join(file).with_extension("pem"), chain.pem()).unwrap();
    fs::write(folder.join(file).with_extension("key"), key.serialize_pem()).unwrap();
}

/// With a port for TLS, and an empty folder for certificates.
fn site() -> (Site, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::new(&format!("service.imap.sslport = {port}\n"));
    fs::create_dir(site.folder.path().join("config/tls")).unwrap();
    (site, port)
}

fn openssl(port: u16, options: &str) -> String {
    let command = format!(
        "(sleep 0.5; echo x LOGOUT; sleep 0.5) | timeout 30 openssl s_client -connect \
         127.0.0.1:{port} {options} 2>&1"
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `imapd --check` says.
fn check(site: &Site) -> String {
    let mut imapd = Command::new(env!("CARGO_BIN_EXE_imapd"));
    imapd.args(["--check", "--base"]).arg(site.folder.path());
    String::from_utf8(imapd.output().unwrap().stdout).unwrap()
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let (site, port) = site();
    let folder = site.folder.path().join("config/tls");
    put(&folder, "default", &["mail.example"], 90);
    put(
        &folder,
        "other",
        &["imap.other.example", "*.other.example"],
        90,
    );
    let server = site.start();
    let shown = |options: &str| {
        let said = openssl(port, &format!("{options} -showcerts"));
        let path = site.folder.path().join("shown");
        fs::write(&path, said).unwrap();
        let mut x509 = Command::new("openssl");
        x509.args(["x509", "-noout", "-ext", "subjectAltName", "-in"]);
        let names = x509.arg(&path).output().unwrap();
        String::from_utf8(names.stdout).unwrap()
    };
    for (asked, expected) in [
        ("-servername imap.other.example", "imap.other.example"),
        ("-servername IMAP.Other.example", "imap.other.example"),
        ("-servername smtp.other.example", "imap.other.example"),
        ("-servername mail.example", "mail.example"),
        ("-servername nobody.example", "mail.example"),
        ("-noservername", "mail.example"),
        ("-servername 127.0.0.1", "mail.example"),
    ] {
        let names = shown(asked);
        assert!(names.contains(expected), "{asked}: {names}");
        if expected == "mail.example" {
            assert!(!names.contains("other"), "{asked}: {names}");
        }
    }
    let starttls = format!("-starttls imap -connect 127.0.0.1:{}", server.imap.port());
    let names = shown(&format!("{starttls} -servername imap.other.example"));
    assert!(names.contains("imap.other.example"), "{names}");
}

#[test]
fn what_ends_soon_is_said_by_the_log_and_to_who_asks() {
    let (site, port) = site();
    let folder = site.folder.path().join("config/tls");
    put(&folder, "default", &["mail.example"], 30);
    put(&folder, "other", &["other.example"], 90);
    let ends = "default.pem for mail.example: this certificate ends in 28 days; renew it";
    let self_signed = "other.pem for other.example: this certificate is self-signed";
    for text in [ends, self_signed] {
        assert!(check(&site).contains(text), "{}", check(&site));
    }
    let server = site.start();
    for text in [ends, self_signed] {
        let said = check(&site);
        assert!(said.starts_with("TLS: ") && said.contains(text), "{said}");
    }
    let log = site.log();
    assert!(
        log.contains("default.pem: this certificate ends in 28 days"),
        "{log}"
    );
    assert!(
        log.contains("other.pem: this certificate is self-signed"),
        "{log}"
    );
    // What was renewed is not warned of any more.
    put(&folder, "default", &["mail.example"], 90);
    site.refresh(&server, "were read again");
    let said = check(&site);
    assert!(!said.contains("this certificate ends"), "{said}");
    put(&folder, "default", &["mail.example"], 0);
    site.refresh(&server, "were read again");
    let patience = Instant::now() + Duration::from_secs(20);
    while !site.log().contains("this certificate ended 1 days ago") {
        assert!(Instant::now() < patience, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        openssl(port, "").contains("* BYE"),
        "it is served all the same"
    );
}

#[test]
fn a_session_is_resumed_on_any_shard_and_after_a_refresh() {
    let (mut site, port) = site();
    site.options += "service.imap.shards = 4\n";
    let folder = site.folder.path().join("config/tls");
    put(&folder, "default", &["mail.example"], 90);
    let server = site.start();
    let session = site.folder.path().join("session");
    let session = session.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let said = openssl(port, &format!("{version} -sess_out {session}"));
        assert!(
            said.contains("New, TLS") && said.contains("* BYE"),
            "{said}"
        );
        for _ in 0..4 {
            let said = openssl(port, &format!("{version} -sess_in {session}"));
            assert!(
                said.contains("Reused, TLS") && said.contains("* BYE"),
                "{said}"
            );
        }
        site.refresh(&server, "were read again");
        let said = openssl(port, &format!("{version} -sess_in {session}"));
        assert!(said.contains("Reused, TLS"), "{said}");
    }
    // A ticket of another run, whose keys are gone, leads to a whole handshake and to no alert.
    drop(server);
    let _server = site.start();
    let said = openssl(port, &format!("-sess_in {session}"));
    assert!(
        said.contains("New, TLS") && said.contains("* BYE"),
        "{said}"
    );
}
