#![allow(clippy::disallowed_methods, reason = "tests wait for threads")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use admin::Users;
use admin::password::{self, Scheme};
use admin::users::Login;
use engine::Limits;
use engine::event::SessionId;
use mail::{MailboxName, Reply, Request};
use reactor::uring;
use store::Store;

use super::*;
use crate::control::{self, Authenticator, Control, MailHandle, Rate, Replier, Workers};
use crate::front::{Cleartext, Logins, Revocations, Timeouts, Visits};
use crate::host::{Door, ImapPlaces};
use crate::planes::{self, DataPlane};
use crate::ports::ShardPorts;
use crate::stalls::Stalls;

/// A running shard with the users ann, bob and carl@x.example.
struct Server {
    folder: tempfile::TempDir,
    handle: MailHandle,
    threads: Vec<JoinHandle<()>>,
    _path: Option<SocketPath>,
    store: Store,
    address: String,
}

fn options() -> Options {
    Options {
        connections_max: 4,
        peer_connections_max: 4,
        transaction: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        settings: Settings {
            session: Arc::new(SessionConfig {
                hostname: "mail.example".into(),
                message_bytes_max: 1 << 20,
                recipients_max: 10,
                over_quota: OverQuota::Permanent,
            }),
            domains: ["mail.example".to_owned(), "x.example".to_owned()].into(),
            submitters: Arc::default(),
        },
    }
}

impl Server {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hash = password::hash(Scheme::Ssha256, b"x").unwrap();
        let users = folder.path().join("users");
        let lines = format!("ann:{hash}\nbob:{hash}\ncarl@x.example:{hash}\n");
        std::fs::write(&users, lines).unwrap();
        let users = Arc::new(Users::open(users).unwrap());
        let data = folder.path().join("data");
        let (store, _) = Store::open(&data, store::Options::default(), Box::new(|_| {})).unwrap();
        let mut options = options();
        change(&mut options);
        let socket = folder.path().join("lmtp.sock");
        let loopback = ([127, 0, 0, 1], 0).into();
        let listeners = Listeners::bind(Some(loopback), Some(&socket), 1).unwrap();
        let lines = listeners.listening();
        let address = lines[0].strip_prefix("lmtp listening on ").unwrap();
        let limits = Limits::default();
        let handle: MailHandle = engine::mesh(1, &limits);
        let (bounds, stalls) = (Arc::new(Bounds::default()), Arc::new(Stalls::new(0)));
        let watch = (bounds.clone(), stalls.clone());
        let replier = Replier::start(handle.clone(), bounds.clone()).unwrap();
        let doorman = (Rate::new(0), Arc::default());
        let login = (Login::new(users, 16), doorman);
        let authenticator =
            Authenticator::start(login, store.clone(), replier.clone(), 1, watch.clone());
        let control = Control {
            store: store.clone(),
            authenticator: Arc::new(authenticator.unwrap()),
            replier,
            searches: Workers::start("search", 1, (1, 1), watch).unwrap(),
            bounds: bounds.clone(),
            stalls: stalls.clone(),
        };
        let (backend, requests) = control::port(&control);
        let mut tcp = listeners.tcp.into_iter().map(OwnedFd::from);
        let id = ShardId(0);
        let plane = DataPlane {
            id,
            ports: ShardPorts {
                listeners: vec![
                    (Door::Lmtp, tcp.next().unwrap()),
                    (Door::LmtpSocket, listeners.unix.unwrap()),
                ],
                loopback: true,
            },
            named_by: tls::NamedBy::default(),
            tls: Arc::new(tls::Config::new(&[], tls::Options::default(), 0).unwrap()),
            starttls: Arc::default(),
            proxies: Default::default(),
            trusted: Arc::default(),
            rings: uring::Options::for_connections(100),
            limits,
            handle: handle.clone(),
            session: Arc::default(),
            timeouts: Timeouts {
                login_ns: u64::MAX / 4,
                inactivity_ns: u64::MAX / 4,
                keepalive_ns: u64::MAX / 4,
            },
            cleartext: Cleartext::ListenerIsLoopback,
            logins: Logins::default(),
            visits: Visits::default(),
            bounds: bounds.clone(),
            stalls,
            revocations: Revocations::default(),
            addresses: None,
            users: None,
            lines: Arc::default(),
            places: Arc::new(ImapPlaces::new(1)),
            lmtp: Lmtp::new(&options).shard(id, 1, bounds),
            counts: Arc::default(),
            backend,
            coming: None,
        };
        let control = planes::start_control(id, control, requests).unwrap();
        Self {
            address: address.to_owned(),
            folder,
            _path: listeners.path,
            handle,
            threads: vec![plane.start().unwrap(), control],
            store,
        }
    }

    fn connect(&self) -> Client<TcpStream> {
        Client::greeted(TcpStream::connect(&self.address).unwrap())
    }

    /// Stops LMTP.
    fn stop(&mut self) {
        self.handle.shutdown();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }

    /// The messages in a user's INBOX.
    fn inbox(&self, user: &str) -> Vec<Vec<u8>> {
        let Some(user) = self.store.user(user).unwrap() else {
            return Vec::new();
        };
        let open = Request::Open {
            user,
            name: MailboxName::inbox(),
            read_only: true,
        };
        let Some(Reply::Opened(opened)) = self.store.read(&open) else {
            panic!("no INBOX")
        };
        opened
            .uids
            .iter()
            .map(|uid| {
                let read = Request::Read {
                    mailbox: opened.mailbox,
                    uid: *uid,
                    range: 0..u64::MAX,
                };
                match self.store.read(&read) {
                    Some(Reply::Piece(bytes)) => bytes.to_vec(),
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        self.store.close();
    }
}

struct Client<S> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    fn greeted(stream: S) -> Self {
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        client.expect("220 mail.example");
        client.send("LHLO here\r\n");
        client.expect("250 SIZE");
        client
    }

    fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// The next line that ends a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn expect(&mut self, start: &str) {
        let reply = self.reply();
        assert!(reply.starts_with(start), "{reply:?}, expected {start}");
    }

    fn deliver(&mut self, user: &str, text: &[u8]) -> String {
        self.send(format!(
            "MAIL FROM:<me@here>\r\nRCPT TO:<{user}>\r\nDATA\r\n"
        ));
        self.expect("250 2.1.0");
        self.expect("250 2.1.5");
        self.expect("354");
        self.send(text);
        self.send("\r\n.\r\n");
        self.reply()
    }
}

#[test]
fn delivered_is_in_the_store() {
    let server = Server::start();
    let mut client = server.connect();
    assert!(
        client
            .deliver("ann@mail.example", b"Subject: one\r\n\r\n..x")
            .starts_with("250 2.0.0")
    );
    let inbox = server.inbox("ann");
    let text = String::from_utf8(inbox[0].clone()).unwrap();
    assert!(
        text.starts_with("Return-Path: <me@here>\r\nReceived: from here ([127.0.0.1])"),
        "{text}"
    );
    assert!(text.ends_with("\r\nSubject: one\r\n\r\n.x\r\n"), "{text}");
    client.send("QUIT\r\n");
    client.expect("221");
    assert_eq!(client.reply(), "");
}

#[test]
fn addresses_are_users() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("MAIL FROM:<>\r\n");
    client.expect("250");
    for (address, reply) in [
        ("ann", "250 2.1.5"),
        ("ANN@Mail.Example", "250 2.1.5"),
        ("carl@x.example", "250 2.1.5"),
        ("carl@mail.example", "550 5.1.1"),
        ("carl", "550 5.1.1"),
        ("ann@elsewhere.example", "550 5.1.2"),
        ("bob+Folder/Sub", "250 2.1.5"),
        ("nobody", "550 5.1.1"),
    ] {
        client.send(format!("RCPT TO:<{address}>\r\n"));
        client.expect(reply);
    }
    client.send("DATA\r\n");
    client.expect("354");
    client.send("x\r\n.\r\n");
    for _ in 0..4 {
        client.expect("250 2.0.0");
    }
    for user in ["ann", "carl@x.example", "bob"] {
        assert_eq!(server.inbox(user).len(), 1, "{user}");
    }
}

#[test]
fn large_messages_go_through_pieces() {
    let server = Server::start();
    let mut client = server.connect();
    let text = b"0123456789abcdef0123456789abcde\r\n".repeat(20_000);
    let text = &text[..text.len() - 2];
    assert!(client.deliver("ann", text).starts_with("250"));
    let message = &server.inbox("ann")[0];
    assert!(message.len() > text.len() && message.ends_with(&[text, b"\r\n"].concat()));
    let too_big = b"0123456789abcdef0123456789abcde\r\n".repeat(40_000);
    assert!(client.deliver("ann", &too_big).starts_with("552 5.3.4"));
    assert!(client.deliver("ann", b"small").starts_with("250"));
    assert_eq!(server.inbox("ann").len(), 2);
}

#[test]
fn unix_socket_serves_too() {
    let server = Server::start();
    let path = server.folder.path().join("lmtp.sock");
    let mut client = Client::greeted(UnixStream::connect(&path).unwrap());
    assert!(client.deliver("bob", b"x").starts_with("250"));
    let text = String::from_utf8(server.inbox("bob").remove(0)).unwrap();
    assert!(text.contains("Received: from here\r\n"), "{text}");
}

#[test]
fn connections_are_bounded() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let mut refused = BufReader::new(TcpStream::connect(&server.address).unwrap());
    let mut said = String::new();
    refused.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.3.2"), "{said}");
    let mut last = clients.pop().unwrap();
    last.send("QUIT\r\n");
    last.expect("221");
    assert_eq!(last.reply(), "", "closed");
    // The connection is given back just after it is closed.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = BufReader::new(TcpStream::connect(&server.address).unwrap());
        let mut greeting = String::new();
        stream.read_line(&mut greeting).unwrap();
        if greeting.starts_with("220") {
            break;
        }
        assert!(Instant::now() < deadline, "{greeting}");
    }
}

#[test]
fn quiet_clients_are_told_and_closed() {
    let server = Server::start_with(|options| options.idle = Duration::from_millis(50));
    let mut client = server.connect();
    client.expect("421 4.4.2");
    assert_eq!(client.reply(), "");
}

#[test]
fn a_peer_over_its_share_is_refused_and_others_come_in() {
    let server = Server::start_with(|options| options.peer_connections_max = 3);
    let _clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut refused = String::new();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("421 4.3.2"), "{refused}");
    let path = server.folder.path().join("lmtp.sock");
    let mut other = Client::greeted(UnixStream::connect(path).unwrap());
    assert!(other.deliver("ann", b"x").starts_with("250"));
}

#[test]
fn a_transaction_that_never_ends_is_ended() {
    let server = Server::start_with(|options| options.transaction = Duration::from_secs(1));
    let mut client = server.connect();
    client.send("MAIL FROM:<>\r\nRCPT TO:<ann>\r\nDATA\r\n");
    for start in ["250", "250", "354"] {
        client.expect(start);
    }
    let began = Instant::now();
    // Never quiet for as long as a client may be.
    let mut stream = client.stream.get_ref().try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        while stream.write_all(b"x\r\n").is_ok() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    client.expect("421 4.4.2");
    assert!(began.elapsed() >= Duration::from_millis(900));
    drop(client);
    drip.join().unwrap();
    assert!(server.inbox("ann").is_empty());
    let mut client = server.connect();
    assert!(client.deliver("ann", b"x").starts_with("250"));
}

#[test]
fn stop_tells_everybody_and_keeps_what_was_delivered() {
    let mut server = Server::start();
    let mut idle = server.connect();
    let mut halfway = server.connect();
    assert!(halfway.deliver("ann", b"first").starts_with("250"));
    halfway.send("MAIL FROM:<>\r\nRCPT TO:<ann>\r\nDATA\r\nhalf a message");
    for start in ["250", "250", "354"] {
        halfway.expect(start);
    }
    server.stop();
    idle.expect("421 4.3.2");
    halfway.expect("421 4.3.2");
    assert_eq!(server.inbox("ann").len(), 1);
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn an_upload_whose_session_has_left_is_forgotten() {
    let server = Server::start();
    let keep = |spool| {
        let (sender, replies) = std::sync::mpsc::channel();
        let chunk = "x".into();
        let completion = Box::new(move |reply| drop(sender.send(reply)));
        let given = server
            .store
            .write(Request::Spool { spool, chunk }, completion);
        assert!(given.is_ok());
        replies.recv().unwrap()
    };
    let Reply::Spooled(spool) = keep(None) else {
        panic!("no upload")
    };
    let gone = SessionId {
        shard: ShardId(0),
        generation: 7,
        slot: 3,
    };
    let late = server.handle.reply(gone, Reply::Spooled(spool));
    assert!(late.is_ok());
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Reply::Spooled(_) = keep(Some(spool)) {
        assert!(Instant::now() < deadline, "it is there still");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_store_that_is_closed_refuses_for_now() {
    let server = Server::start();
    let mut client = server.connect();
    assert!(client.deliver("ann", b"x").starts_with("250"));
    server.store.close();
    assert!(client.deliver("ann", b"y").starts_with("451 4.3.0"));
    assert_eq!(server.inbox("ann").len(), 1);
}
