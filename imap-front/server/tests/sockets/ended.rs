//! Connections that the server ends, and messages that it refuses: the log says whose, and why.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ens::frame::Frame;

use crate::site::{Site, Talk};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a handshake may take, and more.
const HANDSHAKE: Duration = Duration::from_secs(50);

/// Waits for a line that holds all of these.
fn logged(site: &Site, parts: &[&str]) {
    logged_within(site, parts, PATIENCE);
}

fn logged_within(site: &Site, parts: &[&str], time: Duration) {
    let is_there = |log: &str| {
        let mut lines = log.lines();
        lines.any(|line| parts.iter().all(|part| line.contains(part)))
    };
    let begun = Instant::now();
    while !is_there(&site.log()) {
        assert!(begun.elapsed() < time, "{parts:?}:\n{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Says this, and waits for the end.
fn says(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

fn openssl(port: u16, words: &str) {
    let command = format!("timeout 20 openssl s_client -connect 127.0.0.1:{port} {words}");
    let mut shell = Command::new("sh");
    let quiet = format!("{command} </dev/null >/dev/null 2>&1");
    // It fails, as it should.
    shell.args(["-c", &quiet]).status().unwrap();
}

/// A client that trusts nobody.
const SUSPICIOUS: &str = r"
import socket, ssl, sys
try:
    ssl.create_default_context().wrap_socket(
        socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='localhost')
except ssl.SSLError:
    pass
";

#[test]
fn why_a_handshake_has_failed_is_in_the_log() {
    let (imaps, enps) = (free_port(), free_port());
    let site = Site::new(&format!(
        "service.imap.sslport = {imaps}\nens.sslport = {enps}\n"
    ));
    site.show_certificate("localhost");
    let server = site.start();
    let cut = "event=cut result=handshake ip=local session=";
    let _silent = TcpStream::connect(("127.0.0.1", imaps)).unwrap();
    let mut slow = TcpStream::connect(("127.0.0.1", imaps)).unwrap();
    slow.write_all(b"\x16").unwrap();
    says(imaps, b"a LOGIN fred \" why=nothing\"\r\n");
    logged(&site, &[cut, r#" why="what came is no TLS" "#]);
    openssl(imaps, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0");
    logged(&site, &[cut, r#" why="no cipher suite in common" "#]);
    openssl(imaps, "-tls1_1 -cipher ALL:@SECLEVEL=0");
    logged(&site, &[cut, r#" why="no version of TLS in common" "#]);
    let port = imaps.to_string();
    let mut python = Command::new("python3");
    assert!(
        python
            .args(["-c", SUSPICIOUS, &port])
            .status()
            .unwrap()
            .success()
    );
    logged(
        &site,
        &[cut, r#" why="the client sent the alert unknown_ca" "#],
    );
    let before = site.log().matches("result=handshake").count();
    for door in [server.imap, server.lmtp] {
        let mut talk = Talk::to(door);
        talk.line();
        let (begin, ready) = match door == server.lmtp {
            true => ("STARTTLS\r\n", "220 "),
            false => ("a STARTTLS\r\n", "a OK"),
        };
        talk.say(begin);
        assert!(talk.line().starts_with(ready));
        talk.say("\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\r\n");
        talk.rest();
    }
    let begun = Instant::now();
    while site.log().matches("result=handshake").count() < before + 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    // The broker has its own words.
    says(enps, b"GET / HTTP/1.0\r\n\r\n");
    let closed = "closed a connection of 127.0.0.1, TLS has failed: ";
    logged(&site, &[&format!("{closed}what came is no TLS")]);
    for why in ["nothing came in time", "the handshake took too long"] {
        logged_within(&site, &[cut, &format!(r#" why="{why}" "#)], HANDSHAKE);
    }
}

#[test]
fn what_ends_a_deliverers_connection_or_refuses_a_message_is_in_the_log() {
    let site = Site::bare("store.maxmessagesize = 65536\n");
    site.show_certificate("localhost");
    let server = site.start();
    let refusal = |result: &str| format!("event=refusal result={result} ip=local session=");
    let mut lost = Talk::to(server.lmtp);
    lost.say(&"FOO\r\n".repeat(20));
    lost.rest();
    logged(&site, &[&refusal("errors")]);
    let mut early = Talk::to(server.lmtp);
    early.say("LHLO here\r\nSTARTTLS\r\nMAIL FROM:<>\r\n");
    early.rest();
    logged(&site, &[&refusal("starttls"), "followed STARTTLS"]);
    let mut mail = server.lmtp_greeted();
    mail.say("MAIL FROM:<a@example.org> SIZE=65537\r\n");
    assert!(mail.line().starts_with("552 5.3.4"));
    logged(&site, &[&refusal("maxmessagesize")]);
    mail.say("MAIL FROM:<a@example.org>\r\nRCPT TO:<fred>\r\nRCPT TO:<mary>\r\nDATA\r\n");
    for code in ["250", "250", "250", "354"] {
        let line = mail.line();
        assert!(line.starts_with(code), "{line}");
    }
    mail.say(&format!(
        "Subject: x\r\n\r\n{}.\r\n",
        "x\r\n".repeat(40_000)
    ));
    for _ in ["fred", "mary"] {
        assert!(mail.line().starts_with("552 5.3.4"));
    }
    for user in ["fred", "mary"] {
        let refused = format!("event=delivery result=refused ip=local user=\"{user}\" session=");
        let why = "why=\"the message is larger than 65536 bytes\"";
        let recipient = format!("recipients=\"{user}\"");
        logged(
            &site,
            &[&refused, "sender=\"a@example.org\"", &recipient, why],
        );
    }
    let mut early = Talk::to(server.imap);
    early.say("a STARTTLS\r\nb LOGIN fred fred\r\n");
    early.rest();
    let lines = || site.log().matches(&refusal("starttls")).count();
    let begun = Instant::now();
    while lines() < 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn there_is_a_line_once_all_places_are_taken() {
    let site = Site::bare("service.imap.maxsessions = 2\n");
    let server = site.start();
    let mut talks: Vec<Talk> = (0..4).map(|_| Talk::to(server.imap)).collect();
    let greetings: Vec<String> = talks.iter_mut().map(Talk::line).collect();
    let refused = |line: &&String| line.starts_with("* BYE Too many");
    assert_eq!(greetings.iter().filter(refused).count(), 2, "{greetings:?}");
    logged(&site, &["event=bound", "(service.imap.maxsessions)"]);
}

/// Says many frames that are wrong, each by itself.
#[test]
fn who_is_let_in_by_the_broker_has_no_line_for_each_bad_frame() {
    let port = free_port();
    let mut site = Site::new(&format!("ens.port = {port}\n"));
    let traced = [("ENS_DEBUG", "6"), ("ENS_LOG_MODULES", "2")];
    site.variables = traced.map(|(name, value)| (name, value.into())).into();
    let _server = site.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let hello = Frame::Hello {
        version: 1,
        name: "loud",
    };
    stream.write_all(&hello.to_bytes()).unwrap();
    let bad = Frame::Unsubscribe { id: 9 }.to_bytes();
    let mut all = bad.repeat(500);
    all.extend_from_slice(&[0, 0, 0, 2, 13, 0]);
    stream.write_all(&all).unwrap();
    // Until it is closed for the last one.
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    logged(&site, &["refused: there is no subscription of that number"]);
    let lines = site.log().matches("refused: ").count();
    assert!(lines < 50, "{lines} lines");
}
