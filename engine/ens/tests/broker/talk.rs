//! A broker on a free port, and what its clients hear.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::client::{Address, ClientEvent, Connection, Options};
use ens::server::{self, Running};

/// Nothing takes as long.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Site {
    pub broker: Option<Running>,
    pub address: SocketAddr,
}

pub fn options(port: u16) -> server::Options {
    server::Options {
        tcp: Some(([127, 0, 0, 1], port).into()),
        shards: 2,
        pending_bytes_max: 256 * 1024,
        broker: BrokerConfig {
            connections_max: 12_000,
            ..BrokerConfig::new(Access::parse("").unwrap(), 60)
        },
        ..server::Options::default()
    }
}

impl Site {
    pub fn new() -> Self {
        Self::with(&options(0))
    }

    pub fn with(options: &server::Options) -> Self {
        let broker = server::start(options).unwrap();
        let line = broker.listening()[0].clone();
        let address = line
            .strip_prefix("ens listening on ")
            .unwrap()
            .parse()
            .unwrap();
        Self {
            broker: Some(broker),
            address,
        }
    }

    pub fn stop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }

    pub fn client(&self, reconnect: bool) -> Client {
        let (sender, news) = mpsc::channel();
        let options = Options {
            reconnect,
            ..Options::default()
        };
        let address = Address::new("127.0.0.1", self.address.port());
        let on_news = move |_: &Connection, news| drop(sender.send(news));
        let connection = Connection::open(address, options, on_news).unwrap();
        let client = Client { connection, news };
        assert_eq!(client.next(), ClientEvent::Welcome);
        client
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

pub struct Client {
    pub connection: Connection,
    pub news: Receiver<ClientEvent>,
}

impl Client {
    pub fn next(&self) -> ClientEvent {
        self.news.recv_timeout(PATIENCE).unwrap()
    }

    pub fn subscribe(&self, pattern: &str) -> u32 {
        let id = self.connection.subscribe(pattern).unwrap();
        assert_eq!(self.next(), ClientEvent::Subscribed(id));
        id
    }

    pub fn publish(&self, event: &str, payload: &str) {
        let id = self
            .connection
            .publish(event, payload.as_bytes(), b"", true)
            .unwrap();
        assert_eq!(self.next(), ClientEvent::Accepted(id));
    }

    /// The next event's reference and payload.
    pub fn event(&self) -> (String, String) {
        match self.next() {
            ClientEvent::Notified { event, payload, .. } => {
                (event, String::from_utf8(payload.to_vec()).unwrap())
            }
            news => panic!("{news:?}"),
        }
    }

    pub fn nothing(&self) {
        let news = self.news.recv_timeout(Duration::from_millis(200));
        assert!(news.is_err(), "{news:?}");
    }
}
