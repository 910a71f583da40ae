//! STARTTLS (RFC 3207).

use super::*;

fn said(session: &mut Session, host: &mut Host, input: &str) -> String {
    session.handle_input(input.as_bytes());
    host.run(session);
    String::from_utf8(std::mem::take(&mut host.said)).unwrap()
}

fn begun() -> (Session, Host) {
    let mut session = Session::new(config(), None).with_starttls(true);
    let mut host = Host::default();
    said(&mut session, &mut host, "");
    (session, host)
}

#[test]
fn all_that_was_said_before_it_is_forgotten() {
    let (mut session, mut host) = begun();
    let list = said(&mut session, &mut host, "LHLO here\r\n");
    assert!(list.contains("250-STARTTLS\r\n250 SIZE"), "{list}");
    said(&mut session, &mut host, "MAIL FROM:<>\r\nRCPT TO:<ann>\r\n");
    let ready = said(&mut session, &mut host, "starttls\r\n");
    assert!(ready.starts_with("220 2.0.0"), "{ready}");
    assert_eq!(host.handshakes, 1);
    assert!(!session.is_in_transaction());
    let refused = said(&mut session, &mut host, "MAIL FROM:<>\r\n");
    assert!(refused.starts_with("503 5.5.1 Say LHLO"), "{refused}");
    let list = said(&mut session, &mut host, "LHLO there\r\n");
    assert!(!list.contains("STARTTLS"), "{list}");
    let again = said(&mut session, &mut host, "STARTTLS\r\n");
    assert!(again.starts_with("502"), "{again}");
    let all = "MAIL FROM:<>\r\nRCPT TO:<ann>\r\nDATA\r\nx\r\n.\r\n";
    said(&mut session, &mut host, all);
    let message = String::from_utf8(host.delivered.remove(0).1).unwrap();
    assert!(message.contains("Received: from there\r\n"), "{message}");
    assert!(message.contains(" with LMTPS id "), "{message}");
}

#[test]
fn what_comes_behind_it_in_clear_text_is_not_done() {
    for behind in ["MAIL FROM:<>\r\n", "M", "\r\n", "\u{16}\u{3}\u{1}"] {
        let (mut session, mut host) = begun();
        let input = format!("LHLO here\r\nSTARTTLS\r\n{behind}");
        let heard = said(&mut session, &mut host, &input);
        assert!(heard.contains("\r\n421 4.7.0 "), "{heard}");
        assert!(host.closed && host.handshakes == 0);
        assert_eq!(session.ending(), Some(Ending::BehindStartTls));
    }
}

#[test]
fn it_is_refused_where_it_is_not_offered_and_with_an_argument() {
    let mut session = Session::new(config(), None);
    let mut host = Host::default();
    let heard = said(&mut session, &mut host, "LHLO here\r\nSTARTTLS\r\n");
    assert!(
        heard.ends_with("\r\n502 5.5.1 That command is not offered\r\n"),
        "{heard}"
    );
    let (mut session, mut host) = begun();
    let heard = said(&mut session, &mut host, "STARTTLS now\r\n");
    assert!(heard.starts_with("501 "), "{heard}");
    assert_eq!(host.handshakes, 0);
}
