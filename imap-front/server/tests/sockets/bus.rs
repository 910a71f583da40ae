//! Brokers within two servers that are one site over a NATS server.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use admin::tools::counterutil;
use clap::Parser;
use ens::client::{Address, ClientEvent, Connection, Options};

use crate::nats_servers::Cluster;
use crate::offer::check;
use crate::site::{Server, Site};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of a server's broker that hears of everything in the store.
fn subscriber(server: &Server) -> (Connection, Receiver<ClientEvent>) {
    let (sender, news) = mpsc::channel();
    let on_news = move |_: &Connection, news| drop(sender.send(news));
    let address = Address::new("127.0.0.1", server.ens.port());
    let connection = Connection::open(address, Options::default(), on_news).unwrap();
    assert_eq!(news.recv_timeout(PATIENCE), Ok(ClientEvent::Welcome));
    let id = connection.subscribe("enp://127.0.0.1/store/*").unwrap();
    assert_eq!(news.recv_timeout(PATIENCE), Ok(ClientEvent::Subscribed(id)));
    (connection, news)
}

/// Waits until `imapd --check` says that.
fn said(site: &Site, text: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let checked = check(site).text;
        if checked.contains(text) {
            return;
        }
        assert!(Instant::now() < until, "{text:?}:\n{checked}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What `counterutil` shows for a metric.
fn counted(site: &Site, metric: &str) -> u64 {
    let base = admin::Base::new(site.folder.path());
    let words = ["counterutil", "ensign_site"];
    let arguments = counterutil::Arguments::try_parse_from(words).unwrap();
    let mut out = vec![];
    counterutil::run(&base, &arguments, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let found = lines.find_map(|mut words| (words.next() == Some(metric)).then(|| words.next()));
    found
        .flatten()
        .unwrap_or_else(|| panic!("{metric}:\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn what_a_broker_of_its_own_counts_is_told_too() {
    let mut cluster = Cluster::new(1);
    let options = format!("ens.embedded = no\nens.nats.url = {}\n", cluster.url(0));
    let site = Site::new(&options);
    site.configure();
    let base = admin::Base::new(site.folder.path());
    // As enpd does, in this process.
    let joins = ens::site::Options {
        urls: vec![cluster.url(0)],
        site: "ensign".into(),
        credentials: None,
        ca: None,
        certificate: None,
        waiting_bytes_max: 1 << 20,
    };
    let broker = ens::server::start(&ens::server::Options {
        unix: Some(site.folder.path().join("ens")),
        site: Some(joins.read().unwrap()),
        ..ens::server::Options::default()
    })
    .unwrap();
    assert!(
        !check(&site).text.contains("is in the site"),
        "nobody says so"
    );
    std::fs::create_dir_all(base.run()).unwrap();
    let control = ens::control::Control::bind(&base.broker_control()).unwrap();
    let nothing = ens::handover::Shards::new(vec![]);
    let giving = ens::handover::Giving::new(ens::control::FORMAT, nothing, vec![]);
    let counters = broker.site().cloned();
    control.serve(Arc::new(giving), counters).unwrap();
    said(
        &site,
        "the broker is in the site ensign with 0 others; nothing was lost",
    );
    let _server = site.start();
    assert_eq!(counted(&site, "ensign_site_connected"), 1);
    cluster.kill(0);
    said(&site, "the broker is cut off from the site ensign");
    let until = Instant::now() + PATIENCE;
    while counted(&site, "ensign_site_connected") != 0 {
        assert!(Instant::now() < until, "it is still counted as connected");
        std::thread::sleep(Duration::from_millis(100));
    }
    broker.stop();
}

#[test]
fn a_delivery_is_heard_at_the_other_host_and_the_state_of_the_bus_is_told() {
    let mut cluster = Cluster::new(1);
    let options = format!("ens.nats.url = {}\n", cluster.url(0));
    let sites = [Site::new(&options), Site::new(&options)];
    let servers = sites.each_ref().map(Site::start);
    for site in &sites {
        said(
            site,
            "the broker is in the site ensign with 1 others; nothing was lost",
        );
    }
    let (_connection, news) = subscriber(&servers[1]);
    let until = Instant::now() + PATIENCE;
    let heard = loop {
        // The subscription is known to the other host a moment later.
        assert!(servers[0].deliver(&["fred"], "Subject: a\r\n\r\nb")[0].starts_with("250"));
        match news.recv_timeout(Duration::from_millis(200)) {
            Ok(ClientEvent::Notified { event, .. }) => break event,
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(Instant::now() < until, "nothing is heard"),
        }
    };
    assert!(heard.starts_with("enp://127.0.0.1/store/fred?"), "{heard}");
    assert_eq!(counted(&sites[0], "ensign_site_connected"), 1);
    // They are brought up to date once a second.
    for (site, way) in sites.iter().zip(["sent", "heard"]) {
        let until = Instant::now() + PATIENCE;
        while counted(site, &format!("ensign_site_events_total{{way=\"{way}\"}}")) == 0 {
            assert!(Instant::now() < until, "nothing is counted as {way}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    cluster.kill(0);
    said(
        &sites[1],
        "the broker is cut off from the site ensign: none of nats://127.0.0.1",
    );
    // The host goes on alone.
    while news.try_recv().is_ok() {}
    assert!(servers[1].deliver(&["mary"], "Subject: a\r\n\r\nb")[0].starts_with("250"));
    let Ok(ClientEvent::Notified { event, .. }) = news.recv_timeout(PATIENCE) else {
        panic!("its own event is not heard");
    };
    assert!(event.starts_with("enp://127.0.0.1/store/mary?"), "{event}");
    cluster.start(0);
    said(&sites[1], "the broker is in the site ensign with 1 others");
}

#[test]
fn what_the_broker_reads_at_its_next_start_is_checked_while_it_runs() {
    let cluster = Cluster::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "broker:password\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let shown = file.display();
    let options = format!(
        "ens.nats.url = {}\nens.nats.credentials = {shown}\n",
        cluster.url(0)
    );
    let site = Site::new(&options);
    let _server = site.start();
    said(&site, "the broker is in the site ensign");
    said(&site, &format!("(mode 644); chmod o= {shown}"));
    std::fs::remove_file(&file).unwrap();
    said(&site, "the broker is in the site ensign");
    let gone = format!("the broker will not start again: the credentials {shown} (ens.nats");
    said(&site, &gone);
}
