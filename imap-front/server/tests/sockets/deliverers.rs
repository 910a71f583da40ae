//! Deliverers that take every connection, and those who come after them.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::site::{Server, Site, Talk};

/// A connection from an address of its own.
fn connect_from(last: u8, to: SocketAddr) -> Talk {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Talk::over(TcpStream::from(socket))
}

/// Connections that say nothing, as many as are let in, and how many are refused.
fn idle_from(server: &Server, last: u8, count: usize) -> (Vec<Talk>, usize) {
    let mut talks: Vec<Talk> = (0..count)
        .map(|_| connect_from(last, server.lmtp))
        .collect();
    talks.retain_mut(|talk| {
        let greeting = talk.line();
        assert!(
            greeting.starts_with("220 ") || greeting.starts_with("421 4.3.2"),
            "{greeting:?}"
        );
        greeting.starts_with("220 ")
    });
    let refused = count - talks.len();
    (talks, refused)
}

fn deliver(talk: &mut Talk, to: &str) -> String {
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    talk.say(&format!(
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
    ));
    for code in ["250", "250", "354"] {
        let line = talk.line();
        assert!(line.starts_with(code), "{line}");
    }
    talk.say("Subject: x\r\n\r\nx\r\n.\r\n");
    talk.line()
}

fn may_open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

#[test]
fn a_thousand_idle_connections_of_one_peer_leave_room_for_others() {
    may_open_many_files();
    let site = Site::bare("service.lmtp.maxconnections = 1000\n");
    let server = site.start();
    let (idle, refused) = idle_from(&server, 2, 1000);
    assert_eq!((idle.len(), refused), (500, 500));
    let mut other = connect_from(3, server.lmtp);
    assert!(other.line().starts_with("220 "));
    assert!(deliver(&mut other, "fred").starts_with("250 2.0.0"));
    let refused = "result=maxperpeer ip=local";
    let patience = Instant::now() + Duration::from_secs(20);
    while !site.log().contains(refused) {
        assert!(Instant::now() < patience, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// More of them than the process may have files open.
#[test]
fn deliverers_take_no_descriptors_of_the_store() {
    may_open_many_files();
    let site = Site::bare("service.imap.maxsessions = 100\n");
    let server = site.start_under("ulimit -n 400; ulimit -Sn 300");
    let (mut idle, refused) = idle_from(&server, 2, 1000);
    assert_eq!((idle.len(), refused), (1000, 0));
    for talk in idle.iter_mut().take(20) {
        assert!(deliver(talk, "fred").starts_with("250 2.0.0"));
    }
    let mut reader = server.select("fred");
    let counted = reader.ask("n STATUS INBOX (MESSAGES)");
    assert!(counted[0].contains("MESSAGES 20"), "{counted:?}");
    let log = site.log();
    assert!(
        log.contains("400 files may be open (raised from 300)"),
        "{log}"
    );
    assert!(!log.contains("ERROR"), "{log}");
}
