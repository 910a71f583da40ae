//! TLS, spoken by programs of others: `openssl s_client` and Python's `imaplib`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::site::{Server, Site, Talk};

struct Secure {
    site: Site,
    port: u16,
}

/// A certificate for a name, and its key.
fn pair(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Runs Python, which has to begin with a word.
fn python(arguments: &[&str], word: &str) {
    let output = Command::new("python3").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with(word), "{arguments:?}: {said}{error}");
}

impl Secure {
    fn new() -> Self {
        let secure = Self::without_certificate();
        secure.put(&pair("first.example"));
        secure
    }

    fn without_certificate() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Site::new(&format!("service.imap.sslport = {port}\n"));
        fs::create_dir(site.folder.path().join("config/tls")).unwrap();
        Self { site, port }
    }

    fn put(&self, (chain, key): &(String, String)) {
        let folder = self.site.folder.path().join("config/tls");
        fs::write(folder.join("default.pem"), chain).unwrap();
        fs::write(folder.join("default.key"), key).unwrap();
    }

    /// The common name or names of the certificate that is shown.
    fn shown(&self) -> String {
        let command = format!(
            "openssl s_client -connect 127.0.0.1:{} </dev/null 2>/dev/null | \
             openssl x509 -noout -ext subjectAltName",
            self.port
        );
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A client comes in, idles, and is told of a delivery.
    fn client(&self, server: &Server, way: &str, version: &str) {
        let ports = [server.imap.port(), self.port, server.lmtp.port()];
        let ports = ports.map(|port| port.to_string());
        let mut arguments = vec!["-c", CLIENT, way];
        arguments.extend(ports.iter().map(String::as_str));
        arguments.push(version);
        python(&arguments, "told");
    }

    /// A deliverer delivers to both users, twice.
    fn deliverer(&self, server: &Server, version: &str) {
        let port = server.lmtp.port().to_string();
        python(&["-c", DELIVERER, &port, version], "delivered");
    }

    fn refresh(&self, server: &Server, until: &str) {
        server.signal(Signal::HUP);
        for _ in 0..200 {
            if self.site.log().contains(until) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{until:?} is not in the log:\n{}", self.site.log());
    }
}

const CLIENT: &str = r#"
import imaplib, smtplib, ssl, sys
way, imap, imaps, lmtp = sys.argv[1], *map(int, sys.argv[2:5])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[5])
if way == 'starttls':
    client = imaplib.IMAP4('127.0.0.1', imap)
    assert 'STARTTLS' in client.capabilities, client.capabilities
    client.starttls(context)
else:
    client = imaplib.IMAP4_SSL('127.0.0.1', imaps, ssl_context=context)
assert 'STARTTLS' not in client.capabilities, client.capabilities
assert 'AUTH=PLAIN' in client.capabilities, client.capabilities
client.login('fred', 'fred')
client.select('INBOX')
client.send(b'i IDLE\r\n')
assert client.readline() == b'+ idling\r\n'
deliverer = smtplib.LMTP('127.0.0.1', lmtp)
deliverer.sendmail('a@example.org', ['fred'], 'Subject: one\r\n\r\n' + 'x' * 100000)
line = client.readline()
while b'EXISTS' not in line:
    assert line, 'the connection ended'
    line = client.readline()
client.send(b'DONE\r\n')
while not client.readline().startswith(b'i OK'):
    pass
_, data = client.fetch('*', '(BODY[TEXT])')
assert len(data[0][1]) >= 100000, len(data[0][1])
client.logout()
print('told', client.sock.version() if client.sock else '')
"#;

#[test]
fn a_client_idles_and_is_told_over_tls_of_both_versions_and_by_starttls() {
    let secure = Secure::new();
    let server = secure.site.start();
    for way in ["implicit", "starttls"] {
        for version in ["TLSv1_2", "TLSv1_3"] {
            secure.client(&server, way, version);
        }
    }
    let statistics = server.statistics(&secure.site);
    assert_eq!(statistics["Handshakes"], 4, "{statistics:?}");
}

/// Runs `openssl s_client`, types each line when the one before was answered, and gives all it
/// said.
fn s_client(port: u16, options: &[&str], lines: &[(&str, &str)]) -> String {
    let mut child = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-connect"])
        .arg(format!("127.0.0.1:{port}"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut all = String::new();
    for (answer, line) in lines {
        let mut heard = String::new();
        while !answer.is_empty() && !heard.contains(answer) {
            heard.clear();
            if output.read_line(&mut heard).unwrap() == 0 {
                break;
            }
            all.push_str(&heard);
        }
        // It may have ended.
        let _ = input.write_all(line.as_bytes());
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(input);
    while output.read_line(&mut all).unwrap() > 0 {}
    let mut error = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut error).unwrap();
    child.wait().unwrap();
    all + &error
}

#[test]
fn openssl_renews_keys_and_is_refused_a_second_handshake() {
    let secure = Secure::new();
    let server = secure.site.start();
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let lines = [
            ("* OK", "K\n"),
            ("", "a NOOP\n"),
            ("a OK", "k\n"),
            ("", "b NOOP\n"),
            ("b OK", "c LOGOUT\n"),
        ];
        let said = s_client(secure.port, &["-tls1_3", "-ciphersuites", suite], &lines);
        assert!(said.contains("c OK LOGOUT"), "{suite}: {said}");
    }
    let lines = [("* OK", "a NOOP\n"), ("a OK", "R\n")];
    let said = s_client(secure.port, &["-tls1_2"], &lines);
    assert!(said.contains("a OK"), "{said}");
    let handshakes = server.statistics(&secure.site)["Handshakes"];
    assert_eq!(
        handshakes, 4,
        "a second one on a connection is refused: {said}"
    );
}

#[test]
fn what_follows_starttls_in_clear_text_ends_the_connection() {
    let secure = Secure::new();
    let server = secure.site.start();
    let mut talk = Talk::to(server.imap);
    assert!(talk.line().contains(" STARTTLS "));
    talk.say("a STARTTLS\r\nb LOGIN fred fred\r\n");
    assert!(talk.line().starts_with("* BYE"));
    assert_eq!(talk.line(), "");
    // Who says what is no TLS to the port of TLS hears nothing of mail.
    let mut talk = Talk::to(([127, 0, 0, 1], secure.port).into());
    talk.say("a LOGIN fred fred\r\n");
    assert!(!talk.line().contains("OK"));
}

#[test]
fn certificates_are_read_again_and_one_with_another_key_is_refused() {
    let secure = Secure::new();
    let server = secure.site.start();
    let mut idle = server.idle("fred");
    assert!(secure.shown().contains("first.example"));
    secure.put(&pair("second.example"));
    secure.refresh(&server, "were read again");
    assert!(secure.shown().contains("second.example"));
    let (chain, _) = pair("third.example");
    let (_, key) = pair("fourth.example");
    secure.put(&(chain, key));
    let answer = secure.site.refreshed(&server);
    assert!(answer.contains("those known before are kept"), "{answer}");
    assert!(secure.site.log().contains("is not that of the chain"));
    assert!(secure.shown().contains("second.example"));
    idle.say("DONE\r\n");
    assert!(idle.line().starts_with("i OK"));
    drop(server);
    let refused = secure.site.try_start(":").err().unwrap();
    assert!(refused.contains("is not that of the chain"), "{refused}");
}

fn lmtp_offers(server: &Server) -> String {
    let mut talk = Talk::to(server.lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    let mut offers = String::new();
    loop {
        let line = talk.line();
        offers.push_str(&line);
        if line.as_bytes()[3] != b'-' {
            return offers;
        }
    }
}

#[test]
fn the_first_certificate_needs_no_restart_and_the_last_is_kept() {
    let secure = Secure::without_certificate();
    let server = secure.site.start();
    let mut idle = server.idle("fred");
    assert!(!server.greeting().contains("STARTTLS"));
    assert!(!lmtp_offers(&server).contains("STARTTLS"));
    assert!(!secure.shown().contains("DNS"));
    assert_eq!(
        secure.site.refreshed(&server),
        "",
        "there are none, and there were none"
    );
    secure.put(&pair("first.example"));
    assert_eq!(secure.site.refreshed(&server), "");
    assert!(server.greeting().contains(" STARTTLS "));
    assert!(lmtp_offers(&server).contains("STARTTLS"));
    assert!(secure.shown().contains("first.example"));
    for (way, version) in [("implicit", "TLSv1_3"), ("starttls", "TLSv1_2")] {
        secure.client(&server, way, version);
    }
    secure.deliverer(&server, "TLSv1_3");
    let folder = secure.site.folder.path().join("config/tls");
    fs::remove_dir_all(&folder).unwrap();
    for _ in 0..2 {
        let answer = secure.site.refreshed(&server);
        assert!(answer.contains("holds no certificate"), "{answer}");
        assert!(answer.contains("those known before are kept"), "{answer}");
    }
    assert!(secure.shown().contains("first.example"));
    assert!(server.greeting().contains(" STARTTLS "));
    idle.say("DONE\r\n");
    idle.until("i");
}

const DELIVERER: &str = r#"
import smtplib, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[2])
deliverer = smtplib.LMTP('127.0.0.1', int(sys.argv[1]))
deliverer.ehlo('before')
assert deliverer.has_extn('starttls'), deliverer.ehlo_resp
deliverer.mail('a@example.org')
code, _ = deliverer.starttls(context=context)
assert code == 220, code
code, _ = deliverer.mail('a@example.org')
assert code == 503, code
deliverer.ehlo('after')
assert not deliverer.has_extn('starttls'), deliverer.ehlo_resp
for size in (100, 300000):
    text = 'Subject: one\r\n\r\n' + ('x' * 70 + '\r\n') * (size // 72)
    for user in ('fred', 'mary'):
        refused = deliverer.sendmail('a@example.org', [user], text)
        assert not refused, refused
deliverer.quit()
print('delivered')
"#;

#[test]
fn mail_is_delivered_over_tls_of_both_versions() {
    let secure = Secure::new();
    let server = secure.site.start();
    for version in ["TLSv1_2", "TLSv1_3"] {
        secure.deliverer(&server, version);
    }
    for user in ["fred", "mary"] {
        let mut reader = server.select(user);
        let counted = reader.ask("n STATUS INBOX (MESSAGES)");
        assert!(counted[0].contains("MESSAGES 4"), "{counted:?}");
        reader.say("f FETCH 1 BODY[HEADER.FIELDS (RECEIVED)]\r\n");
        let header = [(); 3].map(|()| reader.line()).concat();
        assert!(header.contains(" with LMTPS id "), "{header}");
        assert!(header.contains("from after "), "{header}");
    }
    assert_eq!(server.statistics(&secure.site)["Handshakes"], 2);
}

#[test]
fn openssl_speaks_lmtp_and_nothing_in_clear_text_may_follow_starttls() {
    let secure = Secure::new();
    let server = secure.site.start();
    let lines = [
        ("", "LHLO here\n"),
        ("250 SIZE", "MAIL FROM:<>\n"),
        ("250 2.1.0", "quit\n"),
    ];
    let options = ["-starttls", "lmtp", "-crlf"];
    let said = s_client(server.lmtp.port(), &options, &lines);
    assert!(said.contains("221 2.0.0 Bye"), "{said}");
    let mut talk = Talk::to(server.lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    talk.say("STARTTLS\r\nMAIL FROM:<>\r\n");
    assert!(talk.line().starts_with("421 4.7.0"));
    assert_eq!(talk.line(), "");
    assert_eq!(server.statistics(&secure.site)["Handshakes"], 1);
}

/// `starttls port` or `implicit port`: an HTTP request whose body has a command.
const BROWSER: &str = r#"
import socket, ssl, sys
way, port, protocols = sys.argv[1], int(sys.argv[2]), sys.argv[3].split()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if protocols:
    context.set_alpn_protocols(protocols)
sock = socket.create_connection(('127.0.0.1', port), timeout=20)
if way == 'lmtp':
    sock.recv(1000), sock.sendall(b'LHLO here\r\n')
    while b'250 SIZE' not in sock.recv(1000): pass
    sock.sendall(b'STARTTLS\r\n'), sock.recv(1000)
elif way == 'starttls':
    sock.recv(1000), sock.sendall(b's STARTTLS\r\n'), sock.recv(1000)
if way != 'plain':
    try:
        sock = context.wrap_socket(sock)
    except ssl.SSLError as error:
        print(error)
        sys.exit()
    print('speaks', sock.selected_alpn_protocol())
sock.sendall(b'POST / HTTP/1.1\r\nHost: mail.example\r\n\r\na LOGIN fred fred\r\n')
heard = b''
try:
    while piece := sock.recv(1000):
        heard += piece
except ConnectionResetError:
    pass
print(heard.decode())
"#;

#[test]
fn a_browser_is_no_client_of_mail() {
    let secure = Secure::new();
    let server = secure.site.start();
    let browse = |way: &str, port: u16, protocols: &str| {
        let mut python = Command::new("python3");
        python.args(["-c", BROWSER, way, &port.to_string(), protocols]);
        let output = python.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said + &String::from_utf8_lossy(&output.stderr)
    };
    let (imap, lmtp) = (server.imap.port(), server.lmtp.port());
    for (way, port) in [
        ("plain", imap),
        ("starttls", imap),
        ("implicit", secure.port),
    ] {
        let said = browse(way, port, "");
        assert!(said.contains("* BYE This is IMAP"), "{way}: {said}");
        assert!(
            !said.contains("a OK") && !said.contains("a NO"),
            "{way}: {said}"
        );
    }
    for way in ["plain", "lmtp"] {
        let said = browse(way, lmtp, "");
        assert!(said.contains("421 4.7.0 This is LMTP"), "{way}: {said}");
    }
    let refused = "no application protocol";
    for (way, port) in [
        ("starttls", imap),
        ("implicit", secure.port),
        ("lmtp", lmtp),
    ] {
        assert!(browse(way, port, "h2 http/1.1").contains(refused), "{way}");
    }
    for (way, port) in [("starttls", imap), ("implicit", secure.port)] {
        assert!(
            browse(way, port, "http/1.1 imap").contains("speaks imap"),
            "{way}"
        );
    }
    let line = ", it sent an HTTP request";
    for _ in 0..100 {
        if secure.site.log().matches(line).count() >= 7 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        secure.site.log().matches(line).count(),
        7,
        "{}",
        secure.site.log()
    );
}
