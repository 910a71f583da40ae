//! The same over TLS: every function, the examples, and the plug-in, with a broker that speaks
//! nothing else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::client::{Address, ClientEvent, Connection, Options};
use ens::frame::PROTOCOL;
use ens::server::{self, Running};
use tempfile::TempDir;

use crate::build::{Program, compile, folder, library, root};

const HOST: &str = "enps://127.0.0.1";
const PATIENCE: Duration = Duration::from_secs(30);

struct Secure {
    running: Option<Running>,
    port: String,
    /// Whom to trust, and whom not.
    folder: TempDir,
}

impl Secure {
    fn new() -> Self {
        let folder = folder();
        let pair = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (made, other) = (pair(), pair());
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(folder.path().join("ca.pem"), &chain).unwrap();
        std::fs::write(folder.path().join("other.pem"), other.cert.pem()).unwrap();
        let identity = tls::Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let options = tls::Options {
            protocols: vec![PROTOCOL.to_vec()],
            ..tls::Options::default()
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let config = tls::Config::new(&[identity], options, now.unwrap().as_secs()).unwrap();
        let options = server::Options {
            tls: Some(([127, 0, 0, 1], 0).into()),
            broker: BrokerConfig::new(Access::parse("").unwrap(), 0),
            ..server::Options::default()
        };
        let bound = server::bind(options).unwrap();
        let running = bound.with_certificates(config.into()).start().unwrap();
        let line = &running.listening()[0];
        assert!(line.starts_with("enps listening on "), "{line}");
        let port = line.rsplit(':').next().unwrap().to_owned();
        Self {
            running: Some(running),
            port,
            folder,
        }
    }

    /// A program that trusts whom a file of the folder names.
    fn command(&self, program: &Path, trusted: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args([HOST, &self.port])
            .env("ENS_CA_FILE", self.folder.path().join(trusted));
        command
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn every_function_speaks_tls() {
    let mut broker = Secure::new();
    let folder = folder();
    let program = compile(&root().join("tests/capi/all.c"), &folder);
    let mut running = Program::start(&mut broker.command(&program, "ca.pem"));
    assert_eq!(running.line(), "stop");
    broker.stop();
    assert_eq!(running.line(), "all is well");
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn the_examples_speak_tls_with_whom_they_trust() {
    let broker = Secure::new();
    let folder = folder();
    let [asub, apub] =
        ["asub.c", "apub.c"].map(|name| compile(&root().join("examples").join(name), &folder));
    for program in [&asub, &apub] {
        let mut program = broker.command(program, "other.pem");
        let status = program.stdin(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(1));
    }
    let mut asub = Program::start(&mut broker.command(&asub, "ca.pem"));
    assert_eq!(asub.line(), "Subscription successful");
    let mut apub = broker.command(&apub, "ca.pem");
    let mut apub = apub
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let typed = apub.stdin.take().unwrap();
    std::io::Write::write_all(&mut &typed, b"Hello, world\n.\n").unwrap();
    assert_eq!(asub.line(), "[enp://127.0.0.1/store] Hello, world");
    assert!(apub.wait().unwrap().success());
}

#[test]
fn in_a_foreign_program_the_plug_in_speaks_tls() {
    let broker = Secure::new();
    let folder = folder();
    let (sender, news) = channel();
    let address = Address::new(HOST, broker.port.parse().unwrap());
    let options = Options {
        ca: Some(broker.folder.path().join("ca.pem")),
        ..Options::default()
    };
    let on_news = move |_: &Connection, one| drop(sender.send(one));
    let subscriber = Connection::open(address, options, on_news).unwrap();
    subscriber.subscribe("enp://127.0.0.1/store").unwrap();
    while !matches!(news.recv_timeout(PATIENCE), Ok(ClientEvent::Subscribed(_))) {}
    let host = compile(&root().join("tests/capi/host.c"), &folder);
    let publish = |trusted: &str| {
        let mut host = Command::new(&host);
        host.arg(library()).args([HOST, &broker.port]);
        host.env("ENS_CA_FILE", broker.folder.path().join(trusted));
        let output = host.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = publish("other.pem");
    assert!(said.contains("its certificate is not trusted"), "{said}");
    publish("ca.pem");
    let Ok(ClientEvent::Notified { event, .. }) = news.recv_timeout(PATIENCE) else {
        panic!("the event was not heard");
    };
    let expected = "enp://127.0.0.1/store?evtType=NewMsg&mailboxName=jane&numMsgs=1";
    assert_eq!(event, expected);
    let more = news.recv_timeout(Duration::from_millis(100));
    assert!(more.is_err(), "only whom it trusts is told: {more:?}");
}
