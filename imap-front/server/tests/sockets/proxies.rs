//! Proxies that say whose connections they pass on: the PROXY protocol, and the command ID.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::site::{Server, Site, Talk};
use crate::strangers::own_address;

/// The trusted proxy's address, and the header for its client.
const PROXY: &str = "127.0.0.2";
const CLIENT: &str = "203.0.113.7";
const TEXT: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 8080 143\r\n";
const MARKED: &str = "service.imap.proxyprotocol = yes\nservice.lmtp.proxyprotocol = yes\n\
                      service.proxy.networks = 127.0.0.2,10.0.0.0/8\n";

/// A connection from an address of this host.
fn from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source: SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&SockAddr::from(source)).unwrap();
    socket.connect(&SockAddr::from(to)).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.into()
}

/// A connection of the proxy that begins with this.
fn behind(header: &[u8], to: SocketAddr) -> Talk {
    let mut stream = from(PROXY, to);
    stream.write_all(header).unwrap();
    Talk::over(stream)
}

/// A header of the second version for the client, with extensions.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    [signature, &[command, family][..], &length, rest].concat()
}

fn ipv4(extensions: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 192, 0, 2, 1, 0x1f, 0x90, 0, 143];
    binary(0x21, 0x11, &[&addresses, extensions].concat())
}

/// That the client has come by TLS.
const TLS: [u8; 8] = [0x20, 0, 5, 1, 0, 0, 0, 0];

fn logged(site: &Site, text: &str) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !site.log().contains(text) {
        assert!(Instant::now() < patience, "{text:?}:\n{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn met(site: &Site, server: &Server, bound: &str) -> u64 {
    server.statistics(site)[bound]
}

#[test]
fn a_header_names_the_client_whole_or_byte_by_byte() {
    let site = Site::bare(MARKED);
    let server = site.start();
    for header in [TEXT.to_vec(), ipv4(&[4, 0, 2, 0, 0])] {
        let mut stream = from(PROXY, server.imap);
        let (last, most) = header.split_last().unwrap();
        for byte in most {
            stream.write_all(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut talk = Talk::over(stream.try_clone().unwrap());
        assert!(!talk.has_bytes_within(Duration::from_millis(100)));
        stream.write_all(&[*last]).unwrap();
        // It is from elsewhere, and in clear text.
        assert!(talk.line().contains("LOGINDISABLED"));
        talk.ask("a NOOP");
        // What comes behind the header in the same breath is the client's.
        let mut talk = behind(&[&header, &b"a NOOP\r\n"[..]].concat(), server.imap);
        assert!(talk.line().contains("LOGINDISABLED"));
        talk.until("a");
    }
    let mut talk = behind(&ipv4(&TLS), server.imap);
    let greeting = talk.line();
    assert!(greeting.contains("AUTH=PLAIN") && !greeting.contains("LOGINDISABLED"));
    talk.say("a LOGIN fred wrong\r\n");
    assert!(talk.line().starts_with("a NO"));
    logged(&site, &format!("result=failed ip={CLIENT} user=\"fred\""));
    talk.ask("b LOGIN fred fred");
    // The proxy itself is this host; a client that it doesn't know is not.
    let own = behind(&binary(0x20, 0, b""), server.imap);
    own.ask_after_greeting("a LOGIN fred fred");
    for header in [&b"PROXY UNKNOWN\r\n"[..], &binary(0x21, 0, b"")] {
        assert!(behind(header, server.imap).line().contains("LOGINDISABLED"));
    }
    // Nor is one whose TLS ends there, and who came by a Unix socket: it has no address that could
    // be shut out.
    let sockets = [&[0; 2 * 108][..], &TLS].concat();
    let mut talk = behind(&binary(0x21, 0x31, &sockets), server.imap);
    talk.line();
    talk.say("a LOGIN fred wrong\r\n");
    assert!(talk.line().starts_with("a NO"));
    let unknown = "result=failed ip=unknown user=\"fred\"";
    logged(&site, unknown);
    assert_eq!(met(&site, &server, "ProxyHeader"), 0);
}

#[test]
fn who_is_no_trusted_proxy_is_not_believed_and_a_proxy_must_send_a_header() {
    let site = Site::bare(MARKED);
    let server = site.start();
    // From elsewhere a header is the client's own words.
    for header in [TEXT.to_vec(), ipv4(&TLS)] {
        let mut talk = Talk::over(from("127.0.0.3", server.imap));
        assert!(talk.line().starts_with("* OK"), "nothing is waited for");
        talk.say("a LOGIN mary wrong\r\n");
        assert!(talk.line().starts_with("a NO"));
        let mut stream = talk.into_stream();
        stream.write_all(&header).unwrap();
        stream.write_all(b"\r\nb LOGIN fred fred\r\n").unwrap();
        let mut talk = Talk::over(stream);
        let mut said = String::new();
        while !said.starts_with("b ") {
            said = talk.line();
            assert!(!said.is_empty() && !said.contains(CLIENT));
        }
    }
    logged(&site, "result=failed ip=local user=\"mary\"");
    assert!(!site.log().contains(CLIENT));
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    for bad in [
        &b"a LOGIN fred fred\r\n"[..],
        &long,
        b"PROXY TCP4 somewhere 192.0.2.1 8080 143\r\n",
        &binary(0x21, 0x11, &[0; 65_535])[..16],
        &ipv4(&[2, 0, 9, b'a']),
        b"\x16\x03\x01\x00\xff",
    ] {
        let mut talk = behind(bad, server.imap);
        assert_eq!(talk.rest(), 0, "{}", bad.escape_ascii());
    }
    for why in ["is no header", "is too large", "is malformed"] {
        logged(&site, "event=refusal result=proxy-header ip=local");
        logged(&site, why);
    }
    assert_eq!(met(&site, &server, "ProxyHeader"), 6);
    // One that never comes, or not to its end.
    let begun = Instant::now();
    let mut late = [&b""[..], b"PROXY TCP4 203"].map(|beginning| behind(beginning, server.imap));
    for talk in &mut late {
        assert_eq!(talk.rest(), 0);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    logged(&site, "none came in time");
    assert_eq!(met(&site, &server, "ProxyHeader"), 8);
    behind(TEXT, server.imap).ask_after_greeting("a NOOP");
}

#[test]
fn connections_count_for_the_client_that_their_header_names() {
    let Some(address) = own_address() else {
        eprintln!("this host has no address but loopback, from which nothing is counted");
        return;
    };
    let site = Site::bare(&format!(
        "service.listenaddr = 0.0.0.0\nservice.imap.maxperaddress = 3\n\
         service.imap.proxyprotocol = yes\nservice.proxy.networks = {address}\n\
         service.imap.shards = 2\n"
    ));
    let server = site.start();
    let there = SocketAddr::new(address, server.imap.port());
    let proxy = address.to_string();
    // More than an address may have, as after a restart of the proxy.
    let mut waiting: Vec<TcpStream> = (0..8).map(|_| from(&proxy, there)).collect();
    std::thread::sleep(Duration::from_millis(300));
    let mut inside = vec![];
    for (number, mut stream) in waiting.drain(..).enumerate() {
        let header = format!("PROXY TCP4 198.51.100.{number} 192.0.2.1 8080 143\r\n");
        stream.write_all(header.as_bytes()).unwrap();
        let mut talk = Talk::over(stream);
        assert!(talk.line().starts_with("* OK"));
        inside.push(talk);
    }
    let say = |header: &[u8]| {
        let mut stream = from(&proxy, there);
        stream.write_all(header).unwrap();
        Talk::over(stream)
    };
    let come = || say(TEXT);
    for _ in 0..3 {
        let mut talk = come();
        assert!(talk.line().starts_with("* OK"));
        inside.push(talk);
    }
    let full = "* BYE Too many connections from your address, try again later";
    assert_eq!(come().line(), full);
    logged(
        &site,
        &format!("event=refusal result=maxperaddress ip={CLIENT} "),
    );
    // Loopback of the proxy's host is that host, which is not this one to anybody else: its
    // clients count, and say no passwords in clear text.
    for _ in 0..3 {
        let header = b"PROXY TCP4 127.0.0.1 127.0.0.1 8080 143\r\n";
        let mut talk = say(header);
        assert!(talk.line().contains("LOGINDISABLED"));
        inside.push(talk);
    }
    assert_eq!(say(&binary(0x20, 0, b"")).line(), full, "the proxy itself");
    let closed = inside.remove(10);
    drop(closed);
    let patience = Instant::now() + Duration::from_secs(20);
    while !come().line().starts_with("* OK") {
        assert!(Instant::now() < patience);
    }
}

/// Source, port, header in hexadecimal, and how many bytes a send: TLS behind a header.
const SECURE: &str = r#"
import socket, ssl, sys
source, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[4])
header = bytes.fromhex(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
plain = socket.create_connection(('127.0.0.1', port), timeout=60, source_address=(source, 0))
plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing)
owed = header
def send():
    global owed
    owed += outgoing.read()
    for at in range(0, len(owed), size):
        plain.sendall(owed[at:at + size])
    owed = b''
def until(done):
    while True:
        try:
            return done()
        except ssl.SSLWantReadError:
            send()
            more = plain.recv(65536)
            assert more, 'the connection ended'
            incoming.write(more)
until(tls.do_handshake)
heard = b''
def line(tag):
    global heard
    while not any(one.startswith(tag) for one in heard.split(b'\r\n')[:-1]):
        heard += until(lambda: tls.read(65536))
line(b'* OK')
assert b'LOGINDISABLED' not in heard and b'STARTTLS' not in heard, heard
tls.write(b'a LOGIN fred wrong\r\n')
line(b'a NO')
tls.write(b'b LOGIN fred fred\r\n')
line(b'b OK')
print('in', tls.version())
"#;

#[test]
fn tls_follows_the_header() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let site = Site::bare(&format!("service.imap.sslport = {port}\n{MARKED}"));
    site.show_certificate("imap.example");
    let _server = site.start();
    let hexadecimal =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let come = |source: &str, header: &[u8], size: &str| {
        let output = Command::new("python3")
            .args(["-c", SECURE, source, &port.to_string()])
            .args([&hexadecimal(header), size])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.stdout.starts_with(b"in TLSv1.3"),
            "{source}: {error}"
        );
    };
    come("127.0.0.1", b"", "65536");
    logged(&site, "result=failed ip=local");
    assert!(!site.log().contains(CLIENT));
    // All in one piece, in small ones, and byte by byte.
    for (header, size) in [
        (TEXT.to_vec(), "65536"),
        (ipv4(&[4, 0, 0]), "7"),
        (ipv4(b""), "1"),
    ] {
        come(PROXY, &header, size);
    }
    let line = format!("result=failed ip={CLIENT} user=\"fred\"");
    logged(&site, &line);
    assert_eq!(site.log().matches(&line).count(), 3);
    // TLS without a header is none.
    let mut stream = from(PROXY, ([127, 0, 0, 1], port).into());
    stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    assert_eq!(Talk::over(stream).rest(), 0);
}

#[test]
fn a_deliverer_behind_a_proxy_is_the_one_in_received() {
    let site = Site::bare(&format!("{MARKED}service.lmtp.maxperpeer = 2\n"));
    let server = site.start();
    let deliver = |mut talk: Talk| {
        assert!(talk.line().starts_with("220"));
        talk.say("LHLO there\r\nMAIL FROM:<>\r\nRCPT TO:<fred>\r\nDATA\r\n");
        while !talk.line().starts_with("354") {}
        talk.say("Subject: one\r\n\r\nHello\r\n.\r\n");
        assert!(talk.line().starts_with("250"));
    };
    deliver(behind(&ipv4(b""), server.lmtp));
    deliver(Talk::over(from("127.0.0.3", server.lmtp)));
    let mut reader = server_session(&server);
    for (number, expected) in [(1, CLIENT), (2, "127.0.0.3")] {
        reader.say(&format!(
            "f FETCH {number} BODY[HEADER.FIELDS (RECEIVED)]\r\n"
        ));
        let mut said = String::new();
        while !said.contains("f OK") {
            said.push_str(&reader.line());
        }
        assert!(said.contains(expected), "{said}");
    }
    // Each client has its share.
    let mut inside: Vec<Talk> = (0..2).map(|_| behind(TEXT, server.lmtp)).collect();
    for talk in &mut inside {
        assert!(talk.line().starts_with("220"));
    }
    assert!(behind(TEXT, server.lmtp).line().starts_with("421"));
    let other = b"PROXY TCP4 203.0.113.8 192.0.2.1 8080 24\r\n";
    assert!(behind(other, server.lmtp).line().starts_with("220"));
    assert_eq!(behind(b"LHLO here\r\n", server.lmtp).rest(), 0);
}

/// Logged in from this host itself.
fn server_session(server: &Server) -> Talk {
    let mut talk = Talk::over(from("127.0.0.3", server.imap));
    talk.line();
    talk.ask("l LOGIN fred fred");
    talk.ask("s SELECT INBOX");
    talk
}

#[test]
fn webmail_names_its_client_by_id_before_login() {
    let site = Site::bare(
        "service.imap.trustednetworks = 127.0.0.2\nservice.imap.loginsperminute = 2\n\
         service.imap.maxperaddress = 2\n",
    );
    let server = site.start();
    let id = |address: &str| {
        format!(
            "i ID (\"name\" \"webmail\" \"X-Originating-IP\" \"{address}\" \
             \"x-originating-port\" \"8080\" \"x-connected-ip\" \"192.0.2.1\" \
             \"x-session-id\" \"q1/a\" \"x-proxy-ttl\" \"3\")"
        )
    };
    let come = |source: &str, address: &str| {
        let mut talk = Talk::over(from(source, server.imap));
        talk.line();
        talk.ask(&id(address));
        talk
    };
    // From others it means nothing.
    let mut talk = come("127.0.0.3", CLIENT);
    talk.say("a LOGIN fred wrong\r\n");
    assert!(talk.line().starts_with("a NO"));
    logged(&site, "result=failed ip=local user=\"fred\"");
    assert!(!site.log().contains(CLIENT));
    let mut talk = come(PROXY, CLIENT);
    talk.say("a LOGIN fred wrong\r\n");
    assert!(talk.line().starts_with("a NO"));
    logged(&site, &format!("result=failed ip={CLIENT} user=\"fred\""));
    logged(&site, "proxy_session=\"q1/a\"");
    talk.say("b LOGIN mary wrong\r\n");
    assert!(talk.line().starts_with("b NO [AUTH"));
    talk.say("c LOGIN fred fred\r\n");
    assert!(
        talk.line().starts_with("c NO [LIMIT"),
        "it has tried often enough"
    );
    drop(talk);
    // ID and the login may come in one breath; another client is another.
    let mut talk = Talk::over(from(PROXY, server.imap));
    talk.line();
    talk.say(&format!(
        "{}\r\na LOGIN fred fred\r\n",
        id("::ffff:203.0.113.8")
    ));
    talk.until("a");
    // After login nothing changes.
    talk.ask(&id("203.0.113.9"));
    let mut second = come(PROXY, "203.0.113.8");
    second.ask("a LOGIN fred fred");
    let mut third = Talk::over(from(PROXY, server.imap));
    third.line();
    third.say(&format!("{}\r\n", id("203.0.113.8")));
    let mut said = third.line();
    while said.starts_with("* ID") || said.starts_with("i OK") {
        said = third.line();
    }
    assert!(
        said.starts_with("* BYE Too many connections from your address"),
        "{said}"
    );
    come(PROXY, "203.0.113.9").ask("a LOGIN fred fred");
}
