//! Runs against a server that can't always.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SESSIONS: usize = 12;
const BUSY: &str = "a NO [UNAVAILABLE] too many logins are waiting, try again later";

/// What is answered to a login: of a user, after so many logins of all.
type Answer = fn(&str, usize) -> &'static str;

/// A server with empty mailboxes whose logins are answered so; none cuts the connection.
fn serve(answer: Answer) -> (SocketAddr, SocketAddr) {
    let logins = Arc::new(AtomicUsize::new(0));
    let imap = listen("* OK hi", move |line, stream| {
        let said = match line.split(' ').nth(1).unwrap_or_default() {
            "LOGIN" => {
                let user = line.split(' ').nth(2).unwrap_or_default();
                answer(user, logins.fetch_add(1, Ordering::SeqCst))
            }
            "SELECT" => "* 0 EXISTS\r\nb OK done",
            "IDLE" => "+ idling",
            _ => return false,
        };
        !said.is_empty() && stream.write_all(format!("{said}\r\n").as_bytes()).is_ok()
    });
    let lmtp = listen("220 hi", |_, stream| {
        stream.write_all(b"250 hi\r\n").is_ok()
    });
    (imap, lmtp)
}

/// Greets, and gives each line to `talk`; the connection ends once that is false.
fn listen(
    greeting: &'static str,
    talk: impl Fn(&str, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = talk.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                // Who has gone is met at its next line.
                let _ = writeln!(stream, "{greeting}\r");
                let lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
                let mut lines = lines.map_while(Result::ok);
                let _ = lines.all(|line| talk(&line, &mut stream));
            });
        }
    });
    address
}

fn study(answer: Answer) -> Study {
    let (imap, lmtp) = serve(answer);
    Study {
        imap,
        lmtp,
        sessions: SESSIONS,
        mailboxes: Mailboxes::Each,
        notify: 0,
        users: "u%d".into(),
        password: "p".into(),
        auth: Auth::Login,
        pipelined: false,
        security: None,
        recipients: "u%d".into(),
        deliveries: 0,
        rate: 1.0,
        burst_s: 0,
        lmtp_connections: 1,
        message_bytes: 100,
        setup_concurrency: 4,
        idle_s: 0,
        sweep_recipients: 0,
        reconnecting: 0,
        reconnect_rounds: 0,
        storms: vec![StormKind::Leave],
        restart_command: None,
        statistics: None,
        plain_file: None,
        sendloop_rounds: 0,
        server: Server::default(),
        patience_s: 2,
        settle_s: 0,
        seed: 1,
        progress: false,
    }
}

#[test]
fn who_is_told_that_the_server_can_not_now_comes_again() {
    let answer: Answer = |_, before| match before % (2 * SESSIONS) < SESSIONS {
        true => BUSY,
        false => "a OK in",
    };
    let findings = study(answer).run().expect("all get in");
    let again = &findings.setup.again;
    assert_eq!((again.unavailable, again.cut), (SESSIONS, 0));
    assert_eq!(again.reasons.get(BUSY), Some(&SESSIONS));
    let [storm] = &findings.storms[..] else {
        panic!("one storm");
    };
    assert_eq!((storm.again.unavailable, storm.again.cut), (SESSIONS, 0));
    assert_eq!((storm.refused, findings.faults.total()), (0, 0));
}

#[test]
fn who_does_not_get_in_at_the_end_is_refused() {
    // From the storm on.
    let answer: Answer = |user, before| match (before < SESSIONS, user) {
        (false, "u3" | "u7") => BUSY,
        (false, "u5") => "a NO [AUTHENTICATIONFAILED] wrong",
        (false, "u6") => "",
        _ => "a OK in",
    };
    let findings = study(answer).run().expect("most get in");
    let [storm] = &findings.storms[..] else {
        panic!("one storm");
    };
    assert_eq!(storm.refused, 4);
    assert!(
        storm.again.unavailable >= 4 && storm.again.cut >= 4,
        "{storm:?}"
    );
    assert!((3..=4).contains(&storm.again.reasons.len()), "{storm:?}");
}

#[test]
fn a_set_up_ends_at_once_where_it_is_not_for_want_of_room() {
    let wrong = "a NO [AUTHENTICATIONFAILED] wrong";
    let answer: Answer = |user, _| match user {
        "u3" => "a NO [AUTHENTICATIONFAILED] wrong",
        _ => BUSY,
    };
    let error = study(answer).run().expect_err("a wrong password");
    assert_eq!(error.to_string(), format!("session 3: {wrong}"));
    let error = study(|_, _| BUSY).run().expect_err("nobody gets in");
    assert_eq!(error.to_string(), format!("{SESSIONS} sessions: {BUSY}"));
}
