//! Who comes back over TLS resumes, although another process has taken the broker over.

use std::fs;
use std::io::BufRead;
use std::net::TcpListener;
use std::process::Command;

use crate::programs::enpd;

#[test]
fn tickets_hold_with_whoever_takes_over_and_not_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificates = folder.path().join("tls");
    fs::create_dir(&certificates).unwrap();
    fs::write(certificates.join("default.pem"), made.cert.pem()).unwrap();
    fs::write(
        certificates.join("default.key"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (control, session) = (path("control"), path("session"));
    let certificates = certificates.to_str().unwrap();
    let arguments = [
        "--port",
        "0",
        "--tls-port",
        &port,
        "--certificates",
        certificates,
    ];
    let arguments = [&arguments[..], &["--control", &control]].concat();
    let connect = |option: &str| {
        let command = format!(
            "sleep 0.5 | timeout 30 openssl s_client -connect 127.0.0.1:{port} -alpn enp {option} \
             {session} 2>&1"
        );
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (mut first, mut said) = enpd(&arguments);
    await_line(&mut said, "enps listening");
    let told = connect("-sess_out");
    assert!(told.contains("New, TLS"), "{told}");
    for _ in 0..2 {
        let (second, mut said) = enpd(&[&arguments[..], &["--take-over"]].concat());
        await_line(&mut said, "taken over");
        assert!(first.wait().unwrap().success());
        first = second;
        let told = connect("-sess_in");
        assert!(told.contains("Reused, TLS"), "{told}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let (mut anew, mut said) = enpd(&arguments);
    await_line(&mut said, "enps listening");
    let told = connect("-sess_in");
    assert!(told.contains("New, TLS"), "{told}");
    anew.kill().unwrap();
    anew.wait().unwrap();
}

fn await_line(said: &mut impl BufRead, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "no {words}");
    }
}
