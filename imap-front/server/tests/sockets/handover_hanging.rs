//! Handovers during which something takes long: whoever hangs, and what happens meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ens::client::{Address, ClientEvent, Connection, Options};
use serde_json::Value;

use crate::handover::{Client, wait_for};
use crate::site::{Server, Site, deliver};

const PATIENCE: Duration = Duration::from_secs(30);
const GOES_ON: &str = "this process goes on";

/// A site whose server, or the next one, hangs at a place as long as the file is there.
fn hanging(place: &str, options: &str) -> (Site, PathBuf) {
    let mut site = Site::new(options);
    let file = site.folder.path().join("run/hangs");
    site.variables = vec![
        (
            "ENSIGN_PLANTED_PANIC",
            format!("{place}:{}", file.display()),
        ),
        ("ENSIGN_PLANTED_PATIENCE", "3000".into()),
    ];
    (site, file)
}

/// Has another process take over meanwhile.
fn upgrade_while(site: &Site, server: &mut Server, work: impl FnOnce()) -> Result<(), String> {
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| site.try_upgrade(server));
        work();
        upgrade.join().unwrap()
    })
}

#[test]
fn a_successor_that_hangs_gives_the_store_back() {
    for place in ["prepares", "opens", "is-ready", "commits"] {
        let (site, file) = hanging(&format!("successor-{place}"), "service.imap.shards = 2\n");
        let mut server = site.start();
        let mut client = Client::plain(server.imap).selecting("fred").idling();
        fs::write(&file, "hang").unwrap();
        let failed = site.try_upgrade(&mut server);
        assert!(failed.unwrap_err().contains("nobody waits"), "{place}");
        wait_for(&site, GOES_ON, 1);
        assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
        client.hear(1);
        fs::remove_file(&file).unwrap();
        site.upgrade(&mut server);
        assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
        client.hear(2);
        assert!(!site.log().contains("panicked"), "{}", site.log());
    }
}

/// What the server has counted, as a tool hears it.
fn accepted(site: &Site) -> u64 {
    let base = admin::Base::new(site.folder.path());
    let mut stream = admin::tools::ask::connect(&base).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "{{\"ask\": \"counters\"}}").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let values = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let told = values.take_while(|value| value["done"].is_null());
    let told = told.filter(|value| value["name"] == "ensign_connections_accepted_total");
    told.map(|value| value["value"].as_u64().unwrap()).sum()
}

/// A client of the broker that hears all.
struct Subscriber {
    connection: Connection,
    news: Receiver<ClientEvent>,
}

impl Subscriber {
    fn of(ens: SocketAddr, pattern: &str) -> Self {
        let (sender, news) = channel();
        let on_news = move |_: &Connection, one| drop(sender.send(one));
        let address = Address::new("127.0.0.1", ens.port());
        let connection = Connection::open(address, Options::default(), on_news).unwrap();
        connection.subscribe(pattern).unwrap();
        let subscriber = Self { connection, news };
        while !matches!(subscriber.next(), ClientEvent::Subscribed(_)) {}
        subscriber
    }

    fn next(&self) -> ClientEvent {
        self.news.recv_timeout(PATIENCE).unwrap()
    }

    /// The number at the end of the next event. It is still connected.
    fn number(&self) -> u32 {
        match self.next() {
            ClientEvent::Notified { event, .. } => {
                let (_, number) = event.split_once("n=").unwrap();
                number.parse().unwrap()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_successor_serves_nobody_before_it_has_taken_over() {
    let (site, file) = hanging("successor-prepares", "");
    let mut server = site.start();
    let clients: Vec<_> = (0..10).map(|_| Client::plain(server.imap)).collect();
    fs::write(&file, "hang").unwrap();
    let mut subscribers = Vec::new();
    let ens = server.ens;
    let failed = upgrade_while(&site, &mut server, || {
        wait_for(&site, "asks for all connections", 1);
        std::thread::sleep(Duration::from_millis(500));
        for number in 0..20 {
            assert_eq!(accepted(&site), 10, "{number}");
            subscribers.push(Subscriber::of(ens, "enp://127.0.0.1/x"));
        }
    });
    assert!(failed.is_err());
    let last = subscribers.last().unwrap();
    last.connection
        .publish("enp://127.0.0.1/x?n=7", b"", b"", false)
        .unwrap();
    for subscriber in &subscribers {
        assert_eq!(subscriber.number(), 7);
    }
    drop(clients);
}

#[test]
fn deliveries_that_wait_for_the_disk_are_waited_for() {
    let (mut site, file) = hanging("writer", "service.imap.shards = 2\n");
    let mut server = site.start();
    // Not in the one that follows.
    site.variables.clear();
    let mut client = Client::plain(server.imap).selecting("fred").idling();
    fs::write(&file, "hang").unwrap();
    let answer = std::thread::scope(|scope| {
        let lmtp = server.lmtp;
        let delivery = scope.spawn(move || deliver(lmtp, &["fred"], "Subject: x\r\n\r\ny"));
        std::thread::sleep(Duration::from_millis(500));
        upgrade_while(&site, &mut server, || {
            wait_for(&site, "asks for all connections", 1);
            std::thread::sleep(Duration::from_secs(9));
            fs::remove_file(&file).unwrap();
        })
        .unwrap();
        delivery.join().unwrap()
    });
    assert!(answer[0].starts_with("250"), "{answer:?}");
    client.hear(1);
    client.say("DONE\r\n");
    client.until("i");
    client.ask("n NOOP");
    assert_eq!(client.exists, 1);
    assert!(site.log().contains("ended=0"), "{}", site.log());
}

/// Has `mary` be nobody.
fn remove_mary(site: &Site) {
    let path = admin::Base::new(site.folder.path()).users();
    let text = fs::read_to_string(&path).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("mary:"));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    let other = path.with_extension("other");
    fs::write(&other, kept).unwrap();
    fs::rename(&other, &path).unwrap();
}

#[test]
fn who_is_deleted_while_nobody_is_answered_is_told_so() {
    for goes_on in [true, false] {
        let (site, file) = hanging("successor-opens", "");
        let mut server = site.start();
        let mut mary = Client::plain(server.imap).selecting("mary").idling();
        let mut fred = Client::plain(server.imap).selecting("fred").idling();
        fs::write(&file, "hang").unwrap();
        let upgraded = upgrade_while(&site, &mut server, || {
            wait_for(&site, "asks for all connections", 1);
            // All rest by now.
            std::thread::sleep(Duration::from_millis(1500));
            remove_mary(&site);
            std::thread::sleep(Duration::from_millis(500));
            if !goes_on {
                fs::remove_file(&file).unwrap();
            }
        });
        assert_eq!(upgraded.is_err(), goes_on, "{upgraded:?}");
        assert!(mary.line().starts_with("* BYE"), "{goes_on}");
        assert!(server.deliver(&["fred"], "Subject: x\r\n\r\ny")[0].starts_with("250"));
        fred.hear(1);
    }
}

#[test]
fn no_thread_of_a_successor_keeps_rights() {
    let site = Site::new("service.seccomp = no\n");
    let mut server = site.start();
    site.upgrade(&mut server);
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

#[test]
fn clients_of_the_broker_see_no_change() {
    let site = Site::new("ens.shards = 2\n");
    let mut server = site.start();
    // More than live on one shard.
    let subscribers: Vec<_> = (0..80)
        .map(|_| Subscriber::of(server.ens, "enp://127.0.0.1/x"))
        .collect();
    let deep = Subscriber::of(server.ens, "enp://127.0.0.1/*?n=30");
    let members: Vec<_> = (0..3)
        .map(|_| Subscriber::of(server.ens, "enp+pool.a://127.0.0.1/x"))
        .collect();
    let publisher = Subscriber::of(server.ens, "enp://127.0.0.1/nothing");
    let publish = |number: u32| {
        let event = format!("enp://127.0.0.1/x?n={number}");
        let published = publisher.connection.publish(&event, b"", b"", true);
        published.unwrap();
    };
    let all_hear = |numbers: std::ops::Range<u32>| {
        for subscriber in &subscribers {
            assert!(numbers.clone().all(|number| subscriber.number() == number));
        }
        // Each member has its share, and nobody else has it.
        let each = numbers.len() / members.len();
        let mut shared: Vec<u32> = members
            .iter()
            .flat_map(|member| (0..each).map(|_| member.number()))
            .collect();
        shared.sort_unstable();
        assert!(shared.into_iter().eq(numbers));
    };
    (0..30).for_each(publish);
    all_hear(0..30);
    upgrade_while(&site, &mut server, || {
        (30..90).for_each(|number| {
            publish(number);
            std::thread::sleep(Duration::from_millis(20));
        });
    })
    .unwrap();
    let accepted = std::iter::repeat_with(|| publisher.next());
    let accepted = accepted.take(90);
    assert!(
        accepted
            .into_iter()
            .all(|it| matches!(it, ClientEvent::Accepted(_)))
    );
    for subscriber in &subscribers {
        assert!((30..90).all(|number| subscriber.number() == number));
    }
    let shared = std::iter::repeat_with(|| {
        let come = members
            .iter()
            .filter_map(|member| member.news.try_recv().ok());
        come.count()
    });
    let until = std::time::Instant::now() + PATIENCE;
    let mut count = 0;
    for come in shared.take_while(|_| std::time::Instant::now() < until) {
        count += come;
        if count == 60 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(count, 60, "each event reaches one member");
    assert_eq!(deep.number(), 30);
    site.upgrade(&mut server);
    (90..120).for_each(publish);
    all_hear(90..120);
    let log = site.log();
    assert!(!log.contains("panicked"), "{log}");
}
