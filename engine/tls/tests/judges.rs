//! Against stacks of others, over sockets: `openssl s_client` and Python's `ssl`. What is not
//! installed is said, and its tests pass.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use support::{NOW, identity};
use tls::{Alert, Config, Handshake, Opened, Options};

/// A server that greets and echoes lines, on a port of its own, for as long as the test runs.
fn serve() -> u16 {
    // rcgen's certificates are valid from 1975 on; tickets need no more than a steady clock.
    let config = Config::new(&[identity(&["localhost"])], Options::default(), NOW).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let config = config.clone();
            std::thread::spawn(move || echo(socket.unwrap(), &config));
        }
    });
    port
}

fn echo(mut socket: TcpStream, config: &Config) -> Option<()> {
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let mut handshake = Handshake::new(config).ok()?;
    let mut piece = [0; 4096];
    let established = loop {
        let length = socket.read(&mut piece).ok().filter(|length| *length > 0)?;
        let mut output = Vec::new();
        let step = handshake.handle_input(&piece[..length], &mut output);
        socket.write_all(&output).ok()?;
        if let Some(established) = step.ok()? {
            break established;
        }
    };
    let (mut records, mut input) = (established.records, established.input);
    let (suite, resumed) = (established.suite, established.resumed);
    let greeting = format!("* OK {suite:?} resumed={resumed}\n");
    let mut output = Vec::new();
    records.seal(greeting.as_bytes(), &mut output).ok()?;
    loop {
        let mut from = 0;
        loop {
            let (length, opened) = match records.open(&mut input[from..]) {
                Ok(opened) => opened,
                Err(fault) => {
                    records.alert(fault.alert, &mut output);
                    break;
                }
            };
            from += length;
            match opened {
                Opened::Incomplete => break,
                Opened::Data(data) => records.seal(data, &mut output).ok()?,
                Opened::Control => {}
                Opened::Renegotiation => records.alert(Alert::NoRenegotiation, &mut output),
                Opened::Closed | Opened::Failed(_) => {
                    records.close(&mut output);
                    break;
                }
            }
        }
        input.drain(..from.min(input.len()));
        records.answer(&mut output).ok()?;
        socket.write_all(&output).ok()?;
        output.clear();
        if records.is_closed() {
            return None;
        }
        let length = socket.read(&mut piece).ok().filter(|length| *length > 0)?;
        input.extend_from_slice(&piece[..length]);
    }
}

fn have(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg(if program == "openssl" {
        "version"
    } else {
        "--version"
    });
    let there = asked.stdout(Stdio::null()).status().is_ok();
    if !there {
        println!("{program} is not installed: nothing was tried with it");
    }
    there
}

/// Runs `openssl s_client`, says each line when the one before has been echoed, and gives all it
/// printed. Lines of one letter are its own commands.
fn s_client(port: u16, arguments: &[&str], lines: &[&str]) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = client.stdin.take().unwrap();
    let mut heard = client.stdout.take().unwrap();
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    let mut until = |what: &str| {
        while !text.contains(what) {
            match heard.read(&mut piece) {
                Ok(length @ 1..) => text += &String::from_utf8_lossy(&piece[..length]),
                _ => break,
            }
        }
        text.len()
    };
    until("* OK");
    for line in lines {
        let _ = said.write_all(format!("{line}\n").as_bytes());
        if line.len() > 1 {
            until(line);
        } else {
            // It says on its other channel what it does; a command in one read with another is
            // data.
            std::thread::sleep(Duration::from_millis(150));
        }
    }
    let _ = said.write_all(b"Q\n");
    until("there is no such line");
    let mut errors = String::new();
    client
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    client.wait().unwrap();
    text + &errors
}

#[test]
fn openssl_takes_every_suite() {
    if !have("openssl") {
        return;
    }
    let port = serve();
    let of13 = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];
    for suite in of13 {
        let said = s_client(
            port,
            &["-tls1_3", "-ciphersuites", suite],
            &["hello", "again"],
        );
        let name = suite.replace("TLS_", "TLS13_");
        assert!(said.contains(&format!("* OK {name}")), "{said}");
        assert!(said.contains("hello") && said.contains("again"), "{said}");
    }
    let of12 = [
        (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDSA_WITH_CHACHA20_POLY1305",
        ),
    ];
    for (suite, name) in of12 {
        let said = s_client(port, &["-tls1_2", "-cipher", suite], &["hello", "again"]);
        assert!(said.contains(&format!("* OK TLS_ECDHE_{name}")), "{said}");
        assert!(said.contains("hello") && said.contains("again"), "{said}");
    }
}

#[test]
fn openssl_updates_keys_with_and_without_asking_for_ours() {
    if !have("openssl") {
        return;
    }
    let lines = ["before", "K", "between", "k", "after", "K", "and after"];
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
        let said = s_client(serve(), &["-tls1_3", "-ciphersuites", suite], &lines);
        assert_eq!(said.matches("KEYUPDATE").count(), 3, "{said}");
        for line in lines.iter().filter(|line| line.len() > 1) {
            assert!(said.contains(line), "{line}: {said}");
        }
        assert!(!said.contains(":error:"), "{said}");
    }
}

#[test]
fn openssl_may_not_renegotiate() {
    if !have("openssl") {
        return;
    }
    let said = s_client(serve(), &["-tls1_2"], &["before", "R"]);
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation"), "{said}");
}

#[test]
fn openssl_resumes() {
    if !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session");
    let file = file.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let port = serve();
        let first = s_client(port, &[version, "-sess_out", file], &["hello"]);
        assert!(first.contains("resumed=false"), "{first}");
        let second = s_client(port, &[version, "-sess_in", file], &["hello"]);
        assert!(
            second.contains("resumed=true") && second.contains("Reused"),
            "{second}"
        );
    }
}

#[test]
fn openssl_gets_nothing_older() {
    if !have("openssl") {
        return;
    }
    let said = s_client(serve(), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], &[]);
    assert!(!said.contains("* OK"), "{said}");
    assert!(said.contains("SSL alert number"), "{said}");
}

const PYTHON: &str = r#"
import socket, ssl, sys
port = int(sys.argv[1])
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as sock:
        sock.settimeout(10)
        lines = sock.makefile("rb")
        greeting = lines.readline()
        assert greeting.startswith(b"* OK"), greeting
        for size in (1, 100, 16383, 16384, 16385, 100000):
            line = b"x" * size + b"\n"
            sock.sendall(line)
            assert lines.readline() == line, size
        sock.unwrap()
        print(version.name, "done")
# A record with one byte changed on its way.
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing)
sock = socket.create_connection(("127.0.0.1", port))
sock.settimeout(10)
def turn(action):
    while True:
        try:
            result = action()
            sock.sendall(outgoing.read())
            return result
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(16384))
turn(tls.do_handshake)
assert turn(lambda: tls.read(100)).startswith(b"* OK")
tls.write(b"hello\n")
record = bytearray(outgoing.read())
record[-1] ^= 1
sock.sendall(record)
try:
    turn(lambda: tls.read(100))
    print("a forged record was taken")
except ssl.SSLError as error:
    print(error.reason)
"#;

#[test]
fn python_talks_and_ends_cleanly() {
    if !have("python3") {
        return;
    }
    let port = serve().to_string();
    let ran: Output = Command::new("python3")
        .args(["-c", PYTHON, &port])
        .output()
        .unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    let expected = "TLSv1_2 done\nTLSv1_3 done\nSSLV3_ALERT_BAD_RECORD_MAC\n";
    assert_eq!(said, expected, "{errors}");
}
