//! The plug-in in a program that isn't the mail server.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use ens::client::{Address, ClientEvent, Connection, Options};

use crate::build::{Broker, compile, folder, library, root};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn in_a_foreign_program_the_plug_in_publishes_by_itself() {
    let (folder, broker) = (folder(), Broker::new());
    let (sender, news) = channel();
    let address = Address::new("127.0.0.1", broker.port.parse().unwrap());
    let on_news = move |_: &Connection, one| drop(sender.send(one));
    let subscriber = Connection::open(address, Options::default(), on_news).unwrap();
    subscriber.subscribe("enp://127.0.0.1/store").unwrap();
    while !matches!(news.recv_timeout(PATIENCE), Ok(ClientEvent::Subscribed(_))) {}
    let host = compile(&root().join("tests/capi/host.c"), &folder);
    let status = Command::new(host)
        .arg(library())
        .args(["127.0.0.1", &broker.port])
        .status();
    assert!(status.unwrap().success());
    let Ok(ClientEvent::Notified { event, .. }) = news.recv_timeout(PATIENCE) else {
        panic!("the event was not heard");
    };
    let expected = "enp://127.0.0.1/store?evtType=NewMsg&mailboxName=jane&numMsgs=1";
    assert_eq!(event, expected);
}
