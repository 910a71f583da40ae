//! The door of metrics and health: what it tells, to whom, and how long it waits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::site::{Server, Site};

const PATIENCE: Duration = Duration::from_secs(30);

/// A site whose server has the door, and where that is.
fn with_door(make: fn(&str) -> Site, options: &str) -> (Site, SocketAddr) {
    // Below the ports that the kernel gives to connections: no other test's takes it meanwhile.
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let port = std::iter::repeat_with(|| fastrand::u16(10_000..32_768)).find(is_free);
    let port = port.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let site = make(&format!("service.http.port = {port}\n{options}"));
    (site, address)
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client that may ask several times.
struct Browser<S> {
    stream: BufReader<S>,
    host: &'static str,
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl<S: Read + Write> Browser<S> {
    fn over(stream: S) -> Self {
        let stream = BufReader::new(stream);
        let host = "localhost";
        Self { stream, host }
    }

    fn get(&mut self, path: &str, more: &str) -> Answer {
        let host = self.host;
        self.say(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        ));
        self.answer()
    }

    fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let field = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.strip_prefix(name)).unwrap()
        };
        let length: usize = field("Content-Length: ").parse().unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        Answer { code, head, body }
    }

    /// Whether the connection ends, within a while, with nothing more said.
    fn ends(mut self) -> bool {
        let mut rest = vec![];
        let _ = self.stream.read_to_end(&mut rest);
        rest.is_empty()
    }
}

fn get(address: SocketAddr, path: &str) -> Answer {
    Browser::over(connected(address)).get(path, "Connection: close\r\n")
}

/// A metric's value, as `/metrics` has it.
fn metric(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}"))
        .parse()
        .unwrap()
}

/// What is counted there.
const HAPPENED: [(&str, f64); 13] = [
    ("ensign_sessions{shard=\"0\",state=\"login\"}", 1.0),
    ("ensign_idling_sessions{shard=\"0\"}", 1.0),
    ("ensign_told_seconds_count{shard=\"0\"}", 1.0),
    ("ensign_deliveries_total{result=\"ok\"}", 1.0),
    ("ensign_recipients_refused_total", 1.0),
    ("ensign_delivery_seconds_count", 1.0),
    (
        "ensign_commands_total{command=\"login\",result=\"ok\"}",
        2.0,
    ),
    (
        "ensign_commands_total{command=\"login\",result=\"no\"}",
        1.0,
    ),
    (
        "ensign_commands_total{command=\"fetch\",result=\"no\"}",
        0.0,
    ),
    (
        "ensign_authentications_total{scheme=\"password\",result=\"ok\"}",
        2.0,
    ),
    (
        "ensign_authentications_total{scheme=\"password\",result=\"failed\"}",
        1.0,
    ),
    ("ensign_idle_offered", 1.0),
    ("ensign_store_up", 1.0),
];

#[test]
fn figures_are_those_of_what_happened() {
    let (site, door) = with_door(Site::new, "service.imap.shards = 1\n");
    let server = site.start();
    let mut idle = server.idle("fred");
    let mut active = server.select("mary");
    active.say("x FETCH 1:2\r\n");
    active.until_any("x");
    active.say("y LOGIN mary mary\r\n");
    active.until_any("y");
    let mut wrong = crate::site::Talk::to(server.imap);
    wrong.line();
    wrong.say("w LOGIN fred nobody\r\n");
    wrong.until_any("w");
    assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
    assert!(server.deliver(&["nobody"], "Subject: x\r\n\r\ny")[0].starts_with("550"));
    assert!(idle.line().contains("EXISTS"));
    std::thread::sleep(Duration::from_millis(300));
    let mut browser = Browser::over(connected(door));
    let metrics = browser.get("/metrics", "");
    assert_eq!(metrics.code, 200);
    let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(metrics.head.contains(kind), "{}", metrics.head);
    let text = &metrics.body;
    for (name, value) in HAPPENED {
        // Commands that were never given have no line.
        if value == 0.0 {
            assert!(!text.contains(name), "{name}");
        } else {
            assert_eq!(metric(text, name), value, "{name}\n{text}");
        }
    }
    let (told, commit) = (
        "ensign_told_seconds_sum{shard=\"0\"}",
        "ensign_commit_seconds_count",
    );
    assert!((0.000_001..2.0).contains(&metric(text, told)), "{text}");
    assert!(metric(text, commit) >= 2.0);
    for (name, least) in [
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 10.0),
        ("process_cpu_seconds_total", 0.001),
        ("process_start_time_seconds", 1.6e9),
        ("ensign_store_free_bytes", 1.0),
    ] {
        assert!(metric(text, name) >= least, "{name}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    // The same connection serves on, and what was asked is counted.
    assert_eq!(browser.get("/healthz", "").body, "alive\n");
    assert_eq!(browser.get("/readyz", "").body, "ready\n");
    assert_eq!(browser.get("/nothing?x", "").code, 404);
    let again = browser.get("/metrics", "").body;
    assert_eq!(
        metric(
            &again,
            "ensign_http_requests_total{path=\"/metrics\",code=\"200\"}"
        ),
        1.0
    );
    assert_eq!(
        metric(
            &again,
            "ensign_http_requests_total{path=\"other\",code=\"404\"}"
        ),
        1.0
    );
    drop(idle);
    drop(active);
    let until = Instant::now() + PATIENCE;
    while metric(
        &get(door, "/metrics").body,
        "ensign_idling_sessions{shard=\"0\"}",
    ) > 0.0
    {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn on_loopback_no_other_name_is_answered_and_bad_requests_end() {
    let (site, door) = with_door(Site::bare, "");
    let _server = site.start();
    let mut browser = Browser::over(connected(door));
    browser.host = "evil.example";
    assert_eq!(browser.get("/metrics", "").code, 403);
    browser.host = "127.0.0.1:1";
    assert_eq!(browser.get("/healthz", "").code, 200);
    let host = "Host: localhost\r\n";
    for (said, code) in [
        (
            format!("POST /metrics HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc"),
            405,
        ),
        (
            format!("GET /metrics HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc"),
            413,
        ),
        ("GET /metrics HTTP/1.1\r\n\r\n".into(), 400),
        (
            format!("GET / HTTP/1.1\r\n{host}x: {}\r\n\r\n", "x".repeat(20_000)),
            431,
        ),
    ] {
        let mut browser = Browser::over(connected(door));
        browser.say(&said);
        let answer = browser.answer();
        assert_eq!(answer.code, code, "{said:.60}: {}", answer.head);
        assert!(browser.ends(), "{said:.60}");
    }
    // HEAD has no body, and two requests in one go have two answers.
    let mut browser = Browser::over(connected(door));
    browser.say(&format!("HEAD /healthz HTTP/1.1\r\n{host}\r\n"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        browser.stream.read_line(&mut head).unwrap();
    }
    assert!(head.contains("Content-Length: 6"));
    browser.say(&format!("GET /healthz HTTP/1.1\r\n{host}\r\n").repeat(2));
    assert_eq!(browser.answer().body, "alive\n");
    assert_eq!(browser.answer().body, "alive\n");
}

#[test]
fn a_crowd_that_asks_nothing_keeps_nobody_out() {
    let (site, door) = with_door(Site::bare, "");
    let _server = site.start();
    let mut scraper = Browser::over(connected(door));
    assert_eq!(scraper.get("/healthz", "").code, 200);
    let began = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| connected(door)).collect();
    for one in &mut crowd[150..] {
        one.write_all(b"GET /met").unwrap();
    }
    assert_eq!(scraper.get("/healthz", "").code, 200, "it keeps its place");
    assert_eq!(get(door, "/healthz").code, 200);
    // Those who don't finish are cut in time.
    let last = Browser::over(crowd.pop().unwrap());
    assert!(last.ends());
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

fn tls_client(site: &Site, door: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let pem = fs::read(site.folder.path().join("config/tls/default.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("mail.example").unwrap();
    let connection = ClientConnection::new(config.into(), name).unwrap();
    StreamOwned::new(connection, connected(door))
}

#[test]
fn beyond_loopback_there_is_tls_and_a_token() {
    let (site, door) = with_door(Site::bare, "service.http.listenaddr = 0.0.0.0\n");
    site.show_certificate("mail.example");
    let mut server = site.start();
    let path = site.folder.path().join("data/http.token");
    let token = fs::read_to_string(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut plain = connected(door);
    plain
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut said = vec![];
    let _ = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{said:?}");
    let mut browser = Browser::over(tls_client(&site, door));
    browser.host = "mail.example";
    for path in ["/metrics", "/healthz", "/"] {
        let refused = browser.get(path, "");
        assert_eq!(refused.code, 401);
        assert!(
            refused.head.contains("WWW-Authenticate: Basic"),
            "{}",
            refused.head
        );
    }
    let bearer = |token: &str| format!("Authorization: Bearer {}\r\n", token.trim());
    assert_eq!(browser.get("/metrics", &bearer(&token[1..])).code, 401);
    let refused = "event=refusal result=token ip=local";
    let begun = Instant::now();
    while !site.log().contains(refused) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(site.log().matches(refused).count(), 1);
    let metrics = browser.get("/metrics", &bearer(&token));
    assert_eq!(metrics.code, 200);
    let ends = "ensign_certificate_expiry_timestamp_seconds{file=\"default.pem\"}";
    assert!(metric(&metrics.body, ends) > 1.7e9);
    // Another token, once it is read again.
    let other = "0123456789abcdef0123456789abcdef";
    fs::write(&path, other).unwrap();
    site.refresh(&server, "the configuration was read again");
    assert_eq!(browser.get("/metrics", &bearer(&token)).code, 401);
    assert_eq!(browser.get("/metrics", &bearer(other)).code, 200);
    // The door is another process's after an upgrade.
    site.upgrade(&mut server);
    let mut browser = Browser::over(tls_client(&site, door));
    assert_eq!(browser.get("/readyz", &bearer(other)).body, "ready\n");
}

#[test]
fn mail_is_served_without_the_door_and_the_door_without_a_certificate_lets_nobody_in() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let site = Site::bare(&format!("service.http.port = {port}\n"));
    let server = site.start();
    assert!(server.greeting().starts_with("* OK"));
    drop((server, taken));
    let (site, door) = with_door(Site::bare, "service.http.listenaddr = 0.0.0.0\n");
    let server: Server = site.start();
    assert!(Browser::over(connected(door)).ends());
    assert!(server.greeting().starts_with("* OK"));
}
