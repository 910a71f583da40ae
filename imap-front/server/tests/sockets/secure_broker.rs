//! ENP over TLS: what the broker within the server says, and what the server says to another one.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::client::{Address, ClientEvent, Connection, Options};
use ens::frame::PROTOCOL;
use ens::server;

use crate::site::{Site, idle_offered};

const HOST: &str = "enps://127.0.0.1";
const PATIENCE: Duration = Duration::from_secs(20);

struct Subscriber {
    _connection: Connection,
    news: Receiver<ClientEvent>,
}

impl Subscriber {
    /// Subscribed to everything about `fred`.
    fn new(port: u16, ca: &Path) -> Result<Self, String> {
        let (sender, news) = mpsc::channel();
        let options = Options {
            ca: Some(ca.to_owned()),
            ..Options::default()
        };
        let on_news = move |_: &Connection, news| drop(sender.send(news));
        let connection = Connection::open(Address::new(HOST, port), options, on_news);
        let connection = connection.map_err(|error| error.to_string())?;
        connection.subscribe("enp://127.0.0.1/store/fred").unwrap();
        let subscribed = |news| matches!(news, Ok(ClientEvent::Subscribed(_)));
        while !subscribed(news.recv_timeout(PATIENCE)) {}
        Ok(Self {
            _connection: connection,
            news,
        })
    }

    /// The next event of this type.
    fn hears(&self, kind: &str) {
        loop {
            match self.news.recv_timeout(PATIENCE) {
                Ok(ClientEvent::Notified { event, .. }) if event.contains(kind) => return,
                Ok(ClientEvent::Notified { .. }) => {}
                other => panic!("{other:?} instead of {kind}"),
            }
        }
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Puts another certificate for this host into a folder; gives the file.
fn show(folder: &Path) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let chain = folder.join("default.pem");
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(folder.join("default.key"), made.signing_key.serialize_pem()).unwrap();
    chain
}

#[test]
fn the_broker_within_speaks_tls_and_takes_other_certificates() {
    let port = free_port();
    let site = Site::new(&format!("ens.sslport = {port}\n"));
    let folder = site.folder.path().join("config/tls");
    fs::create_dir(&folder).unwrap();
    let trusted = site.folder.path().join("first.pem");
    fs::copy(show(&folder), &trusted).unwrap();
    let server = site.start();
    let first = Subscriber::new(port, &trusted).unwrap();
    server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
    first.hears("evtType=NewMsg");
    let shown = show(&folder);
    site.refresh(&server, "were read again");
    let refused = Subscriber::new(port, &trusted).err().unwrap();
    assert!(refused.contains("is not trusted"), "{refused}");
    let second = Subscriber::new(port, &shown).unwrap();
    server.deliver(&["fred"], "Subject: two\r\n\r\nHello");
    first.hears("evtType=NewMsg");
    second.hears("evtType=NewMsg");
}

#[test]
fn the_plug_in_speaks_tls_with_a_broker_elsewhere() {
    let site_folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let chain = show(site_folder.path());
    let key = site_folder.path().join("default.key");
    let identity = tls::Identity::read(&chain, &key).unwrap();
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
    let broker = bound.with_certificates(config.into()).start().unwrap();
    let port = broker.listening()[0].rsplit(':').next().unwrap();
    let port: u16 = port.parse().unwrap();
    // The server reaches files of its own folders only, whoever it trusts.
    let mut site = Site::bare(&format!(
        "{}local.store.notifyplugin.enshost = {HOST}\n\
         local.store.notifyplugin.ensport = {port}\nens.embedded = no\n",
        idle_offered()
    ));
    let ca = site.folder.path().join("config/ca.pem");
    fs::copy(&chain, &ca).unwrap();
    let name = ca.to_str().unwrap().to_owned();
    site.variables = vec![("ENS_CA_FILE", name)];
    let server = site.start();
    let patience = Instant::now() + PATIENCE;
    while !server.greeting().contains(" IDLE ") {
        assert!(Instant::now() < patience, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let subscriber = Subscriber::new(port, &chain).unwrap();
    server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
    subscriber.hears("evtType=NewMsg");
    // Whom it doesn't trust it tells nothing: IDLE is not offered, and the log says why.
    drop(server);
    fs::copy(show(site_folder.path()), &ca).unwrap();
    let server = site.start();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!server.greeting().contains(" IDLE "));
    let log = site.log();
    assert!(log.contains("its certificate is not trusted"), "{log}");
    broker.stop();
}
