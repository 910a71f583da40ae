//! Another process takes over while clients and deliverers are connected.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::site::{Server, Site, Talk};

const PATIENCE: Duration = Duration::from_secs(30);

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A client, in plain text or over TLS.
pub struct Client {
    pub stream: BufReader<Box<dyn Stream>>,
    /// Messages it knows of.
    pub exists: u32,
}

impl Client {
    pub fn plain(address: SocketAddr) -> Self {
        Self::over(Box::new(connected(address)))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        let mut client = Self {
            stream: BufReader::new(stream),
            exists: 0,
        };
        assert!(client.line().starts_with("* OK "));
        client
    }

    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the connection has ended");
        let line = line.trim_end().to_owned();
        if let Some(count) = line
            .strip_prefix("* ")
            .and_then(|it| it.strip_suffix(" EXISTS"))
        {
            let count = count.parse().unwrap();
            let is_news = count > self.exists || self.exists == 0;
            assert!(is_news, "{count} after {}", self.exists);
            self.exists = count;
        }
        line
    }

    pub fn ask(&mut self, command: &str) {
        self.say(&format!("{command}\r\n"));
        let tag = command.split(' ').next().unwrap();
        self.until(tag);
    }

    pub fn until(&mut self, tag: &str) {
        loop {
            let line = self.line();
            if let Some(answer) = line.strip_prefix(&format!("{tag} ")) {
                assert!(answer.starts_with("OK"), "{line}");
                return;
            }
        }
    }

    /// Logs in and selects INBOX.
    pub fn selecting(mut self, user: &str) -> Self {
        self.ask(&format!("l LOGIN {user} {user}"));
        self.say("s SELECT INBOX\r\n");
        self.until("s");
        self
    }

    pub fn idling(mut self) -> Self {
        self.say("i IDLE\r\n");
        assert_eq!(self.line(), "+ idling");
        self
    }

    /// Hears of messages until there are so many.
    pub fn hear(&mut self, count: u32) {
        while self.exists < count {
            self.line();
        }
    }
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A site where TLS is spoken on a port of its own.
pub struct Secure {
    pub site: Site,
    imaps: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Secure {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let imaps = listener.local_addr().unwrap();
        let site = Site::new(&format!(
            "service.imap.shards = 2\nservice.imap.sslport = {}\n",
            imaps.port()
        ));
        site.show_certificate("localhost");
        let pem = fs::read(site.folder.path().join("config/tls/default.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        Self {
            site,
            imaps,
            config,
        }
    }

    pub fn client(&self) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(self.config.clone(), name).unwrap();
        Client::over(Box::new(StreamOwned::new(
            connection,
            connected(self.imaps),
        )))
    }
}

/// Delivers to both users, one message after the other, over one connection, until it is stopped.
/// Gives how many were taken; none may be refused.
fn deliveries(lmtp: SocketAddr, stop: &AtomicBool) -> u32 {
    let mut talk = Talk::to(lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        talk.say("MAIL FROM:<a@example.org>\r\nRCPT TO:<fred>\r\nRCPT TO:<mary>\r\nDATA\r\n");
        for expected in ["250", "250", "250", "354"] {
            let line = talk.line();
            assert!(line.starts_with(expected), "{line:?} after {count}");
        }
        talk.say(&format!("Subject: {count}\r\n\r\ntext\r\n.\r\n"));
        for _ in 0..2 {
            let line = talk.line();
            assert!(line.starts_with("250"), "{line:?} after {count}");
        }
        count += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    count
}

#[test]
fn everybody_goes_on_through_two_upgrades_while_mail_comes() {
    let secure = Secure::new();
    let mut server = secure.site.start();
    let imap = server.imap;
    let mut idle: Vec<Client> = Vec::new();
    let mut quiet: Vec<Client> = Vec::new();
    for number in 0..300 {
        let (user, client) = match number % 2 {
            0 => ("fred", Client::plain(imap)),
            _ => ("mary", secure.client()),
        };
        let client = client.selecting(user);
        match number % 3 {
            0 => quiet.push(client),
            _ => idle.push(client.idling()),
        }
    }
    let mut strangers = vec![Client::plain(imap), secure.client()];
    let mut between = server.lmtp_greeted();
    let stop = AtomicBool::new(false);
    let mut writer = Client::plain(imap).selecting("fred");
    let count = std::thread::scope(|scope| {
        let (lmtp, stop) = (server.lmtp, &stop);
        let deliverer = scope.spawn(move || deliveries(lmtp, stop));
        // One is in the middle of a message, and ends it while others rest already.
        let (begun, begins) = mpsc::channel();
        let writer = &mut writer;
        let appending = scope.spawn(move || {
            writer.ask("c CREATE Drafts");
            writer.say("a APPEND Drafts {10}\r\n");
            while !writer.line().starts_with('+') {}
            begun.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(1));
            writer.say("X: y\r\n\r\nab\r\n");
            writer.until("a");
            writer.ask("n NOOP");
        });
        begins.recv().unwrap();
        secure.site.upgrade(&mut server);
        appending.join().unwrap();
        secure.site.upgrade(&mut server);
        stop.store(true, Ordering::SeqCst);
        deliverer.join().unwrap()
    });
    assert!(count > 10, "{count} deliveries");
    writer.ask("e NOOP");
    assert_eq!(writer.exists, count);
    for client in &mut idle {
        client.hear(count);
        client.say("DONE\r\n");
        client.until("i");
        client.ask("n NOOP");
        assert_eq!(client.exists, count);
    }
    for client in &mut quiet {
        client.ask("n NOOP");
        assert_eq!(client.exists, count);
        client.ask("f FETCH 1:* (UID FLAGS)");
        client.ask("o LOGOUT");
    }
    for client in &mut strangers {
        client.ask("l LOGIN fred fred");
    }
    between.say("MAIL FROM:<a@example.org>\r\n");
    assert!(between.line().starts_with("250 "));
    assert!(server.greeting().starts_with("* OK "));
    secure.client().selecting("mary");
    let log = secure.site.log();
    assert_eq!(log.matches("this process has taken over").count(), 2);
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn who_has_enabled_imap4rev2_goes_on_with_it() {
    let site = Site::new("service.imap.shards = 2\n");
    let mut server = site.start();
    let mut client = Client::plain(server.imap);
    client.ask("l LOGIN fred fred");
    client.ask("e ENABLE IMAP4rev2");
    client.ask("s SELECT INBOX");
    let mut client = client.idling();
    site.upgrade(&mut server);
    assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
    assert_eq!(client.line(), "* 1 EXISTS");
    client.say("DONE\r\n");
    assert_eq!(client.line(), "i OK IDLE completed");
    client.say("f SEARCH ALL\r\n");
    assert_eq!(client.line(), "* ESEARCH (TAG \"f\") ALL 1");
    client.until("f");
}

/// A successor that doesn't do what it should.
struct Impostor {
    stream: UnixStream,
}

impl Impostor {
    fn ask(site: &Site, format: u64, shards: &[u64]) -> (Self, String) {
        let base = admin::Base::new(site.folder.path());
        let mut stream = admin::tools::ask::connect(&base).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let question = json!({
            "ask": "upgrade", "format": format, "shards": shards, "patience_ms": 1000,
        });
        writeln!(stream, "{question}").unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        (Self { stream }, String::from_utf8(line).unwrap())
    }

    fn send(&mut self, kind: u8) -> io::Result<()> {
        self.stream.write_all(&[kind, 0, 0, 0, 0, 0, 0, 0])
    }
}

pub fn wait_for(site: &Site, line: &str, times: usize) {
    let until = Instant::now() + PATIENCE;
    while site.log().matches(line).count() < times {
        assert!(
            Instant::now() < until,
            "{line:?} is not in the log: {}",
            site.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_successor_that_crashes_costs_a_pause() {
    let mut site = Site::new("service.imap.shards = 2\n");
    let mut server = site.start();
    let mut clients: Vec<Client> = (0..10)
        .map(|_| Client::plain(server.imap).selecting("fred").idling())
        .collect();
    let places = ["prepares", "opens", "takes", "is-ready", "commits"];
    for (count, place) in (1..).zip(places) {
        let flag = site.folder.path().join("run/flag");
        fs::write(&flag, "").unwrap();
        let planted = format!("successor-{place}:{}", flag.display());
        site.variables = vec![("ENSIGN_PLANTED_PANIC", planted)];
        let failed = site.try_upgrade(&mut server);
        assert!(failed.is_err(), "{place}");
        wait_for(&site, "this process goes on", count);
        assert!(
            site.log()
                .contains(&format!("planted in successor-{place}"))
        );
        let answer = server.deliver(&["fred"], "Subject: x\r\n\r\ny");
        assert!(answer[0].starts_with("250"), "{place}: {answer:?}");
        for client in &mut clients {
            client.hear(count as u32);
        }
    }
    site.variables.clear();
    site.upgrade(&mut server);
    for client in &mut clients {
        client.say("DONE\r\n");
        client.until("i");
    }
}

#[test]
fn whatever_a_successor_does_the_old_process_goes_on() {
    let site = Site::new("service.imap.shards = 2\n");
    let mut server = site.start();
    let mut clients: Vec<Client> = (0..10)
        .map(|_| Client::plain(server.imap).selecting("fred").idling())
        .collect();
    let mut count = 0;
    let mut all_hear = |server: &Server| {
        count += 1;
        assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
        clients.iter_mut().for_each(|client| client.hear(count));
    };
    all_hear(&server);
    // Of another version, or with other options: nothing is begun.
    let (_, said) = Impostor::ask(&site, 999_999, &[2, 1]);
    assert!(said.contains("restart it instead"), "{said}");
    let (_, said) = Impostor::ask(&site, server::handover::FORMAT, &[3, 1]);
    assert!(said.contains("service.imap.shards"), "{said}");
    all_hear(&server);
    let failed = "this process goes on";
    // It ends before it has prepared anything, and one that comes meanwhile is refused.
    let (first, said) = Impostor::ask(&site, server::handover::FORMAT, &[2, 1]);
    assert!(said.contains("true"), "{said}");
    wait_for(&site, "asks for all connections", 1);
    let (mut second, _) = Impostor::ask(&site, server::handover::FORMAT, &[2, 1]);
    let mut said = String::new();
    let _ = second.stream.read_to_string(&mut said);
    assert!(said.contains("another upgrade"), "{said}");
    drop(first);
    wait_for(&site, failed, 1);
    all_hear(&server);
    // It says that it is ready where it should prepare.
    let (mut impostor, _) = Impostor::ask(&site, server::handover::FORMAT, &[2, 1]);
    impostor.send(5).unwrap();
    wait_for(&site, failed, 2);
    all_hear(&server);
    // It prepares, and ends while all rests. Its ways for connections are closed with it.
    let (mut impostor, _) = Impostor::ask(&site, server::handover::FORMAT, &[2, 1]);
    impostor.send(3).unwrap();
    drop(impostor);
    wait_for(&site, failed, 3);
    all_hear(&server);
    assert!(!site.log().contains("panicked"), "{}", site.log());
    // It prepares, and says nothing more.
    let (mut impostor, _) = Impostor::ask(&site, server::handover::FORMAT, &[2, 1]);
    impostor.send(3).unwrap();
    wait_for(&site, failed, 4);
    drop(impostor);
    all_hear(&server);
    // After all that it can still be upgraded.
    site.upgrade(&mut server);
    all_hear(&server);
}
