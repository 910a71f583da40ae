//! Before login: how long a line of a SASL exchange may be, how many commands there may be, and
//! what each mechanism asks of its host.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use mail::request::{Credentials, Evidence};
use mail::{Refusal, Reply, Request, UserId};
use proto::imap::action::Action;
use proto::imap::{Channel, Session, SessionConfig, TokenHints};

/// What is said to some input; `(asks)` stands for a request.
fn said(session: &mut Session, input: &[u8]) -> String {
    session.handle_input(input);
    let mut all = String::new();
    while let Some(action) = session.poll_action() {
        match action {
            Action::Send(bytes) => all.push_str(std::str::from_utf8(&bytes).unwrap()),
            Action::Request(_) => all.push_str("(asks)"),
            _ => {}
        }
        session.handle_drained();
    }
    all
}

/// A line is refused, or worked on, as soon as the session takes no more of it: none hangs between
/// what it may be and what is kept of a client's input.
#[test]
fn a_sasl_line_of_any_length_is_answered() {
    let config = Arc::new(SessionConfig::default());
    for length in (7..15).map(|kib| kib << 10) {
        let mut session = Session::new(config.clone(), true);
        said(&mut session, b"");
        assert_eq!(said(&mut session, b"a AUTHENTICATE PLAIN\r\n"), "+ \r\n");
        // As a host does: no more is read while the session wants none.
        let line = [b"A".repeat(length), b"\r\n".to_vec()].concat();
        let mut answer = String::new();
        for piece in line.chunks(512) {
            assert!(
                session.wants_input(),
                "nothing more is read of a line of {length} bytes, and nothing is said: {answer:?}"
            );
            answer += &said(&mut session, piece);
        }
        let fits = length <= config.login_bytes_max;
        let expected = if fits {
            "expected authorization"
        } else {
            "too long"
        };
        assert!(answer.starts_with("a BAD "), "{length}: {answer:?}");
        assert!(answer.contains(expected), "{length}: {answer:?}");
        assert!(said(&mut session, b"b NOOP\r\n").starts_with("b OK"));
    }
}

/// The host is asked, so that it is delayed, counted and logged; by nothing that could be right.
#[test]
fn a_name_that_is_none_is_refused_by_the_host_as_any_other() {
    let config = Arc::new(SessionConfig::default());
    let plain =
        |message: &[u8]| format!("a AUTHENTICATE PLAIN {}\r\n", encoded(message)).into_bytes();
    for (input, user) in [
        (b"a LOGIN {2+}\r\n\xFFx secret\r\n".to_vec(), "\u{FFFD}x"),
        (plain(b"\0\xFFx\0secret"), "\u{FFFD}x"),
        (plain(b"\xFF\0fred\0secret"), "fred"),
    ] {
        let mut session = Session::new(config.clone(), true);
        said(&mut session, b"");
        let credentials = asked(&mut session, &input).expect("a request");
        assert_eq!(&*credentials.user, user);
        let is_none = |proof: &[u8]| proof.is_empty();
        assert!(matches!(credentials.evidence, Evidence::Proof { proof, .. } if is_none(&proof)));
        session.handle_reply(Reply::Refused(Refusal::Credentials));
        assert!(said(&mut session, b"").starts_with("a NO [AUTHENTICATIONFAILED]"));
    }
}

#[test]
fn too_many_commands_before_login_end_the_session() {
    let config = Arc::new(SessionConfig {
        prelogin_commands_max: 3,
        ..SessionConfig::default()
    });
    let mut session = Session::new(config.clone(), true);
    said(&mut session, b"");
    // Of whatever kind; an empty line is none, nor is what belongs to one.
    assert!(said(&mut session, b"a NOOP\r\n\r\n\r\n").starts_with("a OK"));
    assert!(said(&mut session, b"nonsense\r\n").contains("BAD"));
    assert!(said(&mut session, b"c LOGIN {4}\r\n").starts_with("+ "));
    assert!(said(&mut session, b"fred x\r\n").ends_with("(asks)"));
    session.handle_reply(Reply::Refused(Refusal::Credentials));
    assert!(said(&mut session, b"").starts_with("c NO [AUTH"));
    assert!(!session.exceeds_commands());
    let end = said(&mut session, b"d NOOP\r\ne NOOP\r\n");
    assert_eq!(end, "* BYE [LIMIT] Too many commands before login\r\n");
    assert!(session.exceeds_commands());
    // After login there may be any number.
    let mut session = Session::new(config, true);
    said(&mut session, b"a LOGIN fred x\r\n");
    session.handle_reply(Reply::Authenticated(mail::UserId(1)));
    for _ in 0..10 {
        assert!(said(&mut session, b"b CAPABILITY\r\n").ends_with("b OK CAPABILITY completed\r\n"));
    }
}

/// What a login under way keeps counts as what the session keeps.
#[test]
fn an_exchange_is_counted_in_bytes() {
    let config = Arc::new(SessionConfig {
        scram: Arc::new(true.into()),
        ..SessionConfig::default()
    });
    let mut session = Session::new(config, true);
    said(&mut session, b"");
    let before = session.held_bytes();
    let first = format!("n,,n={},r={}", "u".repeat(200), "n".repeat(200));
    let first = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, first);
    let line = format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n");
    assert_eq!(said(&mut session, line.as_bytes()), "(asks)");
    let kept = session.held_bytes() - before;
    assert!(kept >= 2 * 400, "{kept}");
}

/// A session after its handshake, with this list of capabilities in its greeting.
fn secure(config: &Arc<SessionConfig>, channel: Channel) -> (Session, String) {
    let mut session = Session::before_handshake(config.clone());
    assert_eq!(
        said(&mut session, b""),
        "",
        "what it offers is not known yet"
    );
    session.handle_channel(channel);
    let greeting = said(&mut session, b"");
    assert!(greeting.starts_with("* OK [CAPABILITY "), "{greeting}");
    (session, greeting)
}

/// The request that a session makes of some input, and what it says before.
fn asked(session: &mut Session, input: &[u8]) -> Option<Credentials> {
    session.handle_input(input);
    let mut credentials = None;
    while let Some(action) = session.poll_action() {
        if let Action::Request(Request::Authenticate(it)) = action {
            credentials = Some(it);
        }
    }
    session.handle_drained();
    credentials
}

fn encoded(text: impl AsRef<[u8]>) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
}

fn decoded(line: &str) -> String {
    let text = line.strip_prefix("+ ").unwrap().trim_end();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text);
    String::from_utf8(bytes.unwrap()).unwrap()
}

fn with_tokens() -> Arc<SessionConfig> {
    Arc::new(SessionConfig {
        tokens: Some(TokenHints {
            scope: "imap".into(),
            configuration: "https://id.example".into(),
        }),
        ..SessionConfig::default()
    })
}

const TOKENS: &str = " AUTH=OAUTHBEARER AUTH=XOAUTH2";

#[test]
fn tokens_are_offered_if_there_are_keys_and_where_passwords_are() {
    let greeting = |config: Arc<SessionConfig>, cleartext| {
        said(&mut Session::with_starttls(config, cleartext, true), b"")
    };
    assert!(greeting(with_tokens(), true).contains(TOKENS));
    let refused = greeting(with_tokens(), false);
    assert!(!refused.contains("AUTH="), "{refused}");
    let mut session = Session::new(with_tokens(), false);
    said(&mut session, b"");
    let line = format!("a AUTHENTICATE XOAUTH2 {}\r\n", encoded("user=x\x01"));
    assert!(said(&mut session, line.as_bytes()).starts_with("a NO [PRIVACYREQUIRED]"));
    let none = Arc::new(SessionConfig::default());
    assert!(!greeting(none.clone(), true).contains("OAUTH"));
    let mut session = Session::new(none, true);
    said(&mut session, b"");
    let refused = said(&mut session, b"a AUTHENTICATE OAUTHBEARER\r\n");
    assert!(refused.starts_with("a NO [CANNOT]"), "{refused}");
}

/// Tokens have kilobytes: with the command and as a line of their own.
#[test]
fn a_token_is_asked_about_and_a_wrong_one_explained() {
    let token = "t".repeat(5000);
    let bearer = format!("n,a=fred,\x01host=x\x01auth=Bearer {token}\x01\x01");
    let old = format!("user=fred\x01auth=Bearer {token}\x01\x01");
    for (mechanism, message, status) in [
        (
            "OAUTHBEARER",
            bearer,
            r#"{"status":"invalid_token","scope":"imap""#,
        ),
        (
            "XOAUTH2",
            old,
            r#"{"status":"401","schemes":"bearer","scope":"imap"}"#,
        ),
    ] {
        for at_once in [true, false] {
            let mut session = Session::new(with_tokens(), true);
            said(&mut session, b"");
            let command = format!("a AUTHENTICATE {mechanism}");
            let message = encoded(&message);
            let give = |session: &mut Session| {
                if at_once {
                    return asked(session, format!("{command} {message}\r\n").as_bytes());
                }
                assert_eq!(said(session, format!("{command}\r\n").as_bytes()), "+ \r\n");
                asked(session, format!("{message}\r\n").as_bytes())
            };
            for end in ["AQ==\r\n", "*\r\n", "\r\n"] {
                let credentials = give(&mut session).expect("a request");
                assert_eq!(&*credentials.user, "");
                assert_eq!(credentials.authorization.as_deref(), Some("fred"));
                assert!(credentials.evidence == Evidence::Token(token.as_bytes().into()));
                session.handle_reply(Reply::Refused(Refusal::Credentials));
                let why = decoded(&said(&mut session, b""));
                assert!(why.starts_with(status), "{why}");
                let refused = said(&mut session, end.as_bytes());
                assert!(
                    refused.starts_with("a NO [AUTHENTICATIONFAILED]"),
                    "{refused}"
                );
                if end == "*\r\n" {
                    assert!(give(&mut session).is_some());
                    session.handle_reply(Reply::Authenticated(mail::UserId(1)));
                    assert!(said(&mut session, b"").starts_with("a OK [CAPABILITY"));
                    break;
                }
            }
        }
    }
}

#[test]
fn a_token_without_its_scope_and_none_at_all_are_told_apart() {
    let mut session = Session::new(with_tokens(), true);
    said(&mut session, b"");
    let line = |message: &str| format!("a AUTHENTICATE OAUTHBEARER {}\r\n", encoded(message));
    let given = line("n,,\x01auth=Bearer x\x01\x01");
    assert!(asked(&mut session, given.as_bytes()).is_some());
    session.handle_reply(Reply::Refused(Refusal::Scope));
    let why = decoded(&said(&mut session, b""));
    assert!(
        why.starts_with(r#"{"status":"insufficient_scope""#),
        "{why}"
    );
    let refused = said(&mut session, b"AQ==\r\n");
    assert!(
        refused.starts_with("a NO [AUTHORIZATIONFAILED]"),
        "{refused}"
    );
    // Who asks what is wanted is told, and nobody else is asked.
    let why = decoded(&said(&mut session, line("n,,\x01auth=\x01\x01").as_bytes()));
    assert!(why.contains("openid-configuration"), "{why}");
    assert!(said(&mut session, b"AQ==\r\n").starts_with("a NO"));
    let bad = said(&mut session, line("n,,\x01auth=Basic x\x01\x01").as_bytes());
    assert_eq!(bad, "a BAD expected Bearer and a token\r\n");
}

fn channel(binding: bool, name: Option<&str>) -> Channel {
    Channel {
        binding: binding.then_some([7; 32]),
        name: name.map(Box::from),
        name_fault: None,
    }
}

#[test]
fn a_certificate_logs_in_whom_it_names() {
    let config = Arc::new(SessionConfig::default());
    let (mut session, greeting) = secure(&config, channel(false, Some("fred")));
    assert!(greeting.contains(" AUTH=EXTERNAL"), "{greeting}");
    for (input, authorization) in [
        (&b"a AUTHENTICATE EXTERNAL =\r\n"[..], None),
        (b"a AUTHENTICATE EXTERNAL\r\n\r\n", None),
        (b"a AUTHENTICATE EXTERNAL bWFyeQ==\r\n", Some("mary")),
    ] {
        let credentials = asked(&mut session, input).expect("a request");
        assert_eq!(
            (&*credentials.user, credentials.authorization.as_deref()),
            ("fred", authorization)
        );
        assert!(credentials.evidence == Evidence::Certificate);
        session.handle_reply(Reply::Refused(Refusal::Busy("wait")));
        assert!(said(&mut session, b"").starts_with("a NO"));
    }
    let bad = said(&mut session, b"a AUTHENTICATE EXTERNAL /w==\r\n");
    assert!(bad.starts_with("a BAD"), "{bad}");
    // Without one, and in clear text, there is no such thing.
    let (mut session, greeting) = secure(&config, channel(true, None));
    assert!(!greeting.contains("EXTERNAL"), "{greeting}");
    let refused = said(&mut session, b"a AUTHENTICATE EXTERNAL =\r\n");
    assert!(refused.starts_with("a NO [CANNOT]"), "{refused}");
    // By STARTTLS it comes with the handshake.
    let mut session = Session::with_starttls(config, false, true);
    assert!(!said(&mut session, b"").contains("EXTERNAL"));
    said(&mut session, b"s STARTTLS\r\n");
    session.handle_channel(channel(false, Some("fred")));
    assert!(said(&mut session, b"c CAPABILITY\r\n").contains(" AUTH=EXTERNAL"));
}

#[test]
fn a_certificate_that_names_nobody_is_refused_with_the_reason() {
    let config = Arc::new(SessionConfig::default());
    let nobody = Channel {
        name_fault: Some("it has several common names"),
        ..channel(false, None)
    };
    let (mut session, greeting) = secure(&config, nobody);
    assert!(greeting.contains(" AUTH=EXTERNAL"), "{greeting}");
    let asked = asked(&mut session, b"a AUTHENTICATE EXTERNAL bWFyeQ==\r\n").expect("a request");
    assert_eq!(&*asked.user, "");
    let Evidence::Nameless(why) = asked.evidence else {
        panic!("another evidence");
    };
    session.handle_reply(Reply::Refused(Refusal::Certificate(why)));
    assert_eq!(
        said(&mut session, b""),
        "a NO [AUTHENTICATIONFAILED] your certificate names nobody: it has several common names\r\n"
    );
}

const PLUS: &str = " AUTH=SCRAM-SHA-256-PLUS";

/// RFC 8437: the connection goes on, and with it what its TLS has brought.
#[test]
fn who_logs_out_may_be_named_by_the_certificate_again() {
    let config = Arc::new(SessionConfig {
        scram: Arc::new(true.into()),
        ..SessionConfig::default()
    });
    let (mut session, greeting) = secure(&config, channel(true, Some("fred")));
    assert!(greeting.contains(PLUS), "{greeting}");
    for tag in ["a", "b"] {
        let line = format!("{tag} AUTHENTICATE EXTERNAL =\r\n");
        let credentials = asked(&mut session, line.as_bytes()).expect("a request");
        assert_eq!(&*credentials.user, "fred");
        session.handle_reply(Reply::Authenticated(UserId(1)));
        let welcome = said(&mut session, b"");
        assert!(welcome.contains("Logged in"), "{welcome}");
        assert!(!welcome.contains("AUTH="), "{welcome}");
        said(&mut session, b"u UNAUTHENTICATE\r\n");
        let offered = said(&mut session, b"c CAPABILITY\r\n");
        assert!(
            offered.contains(" AUTH=EXTERNAL") && offered.contains(PLUS),
            "{offered}"
        );
    }
}

/// RFC 8437 §8.
#[test]
fn unauthenticate_that_is_turned_off_is_neither_announced_nor_done() {
    let config = Arc::new(SessionConfig {
        unauthenticates: false,
        ..SessionConfig::default()
    });
    let (mut session, _) = secure(&config, channel(true, Some("fred")));
    asked(&mut session, b"a AUTHENTICATE EXTERNAL =\r\n").expect("a request");
    session.handle_reply(Reply::Authenticated(UserId(1)));
    let welcome = said(&mut session, b"");
    assert!(welcome.contains(" ENABLE "), "{welcome}");
    assert!(!welcome.contains("UNAUTHENTICATE"), "{welcome}");
    for command in ["UNAUTHENTICATE", "X-UNAUTHENTICATE"] {
        let line = format!("b {command}\r\n");
        let refused = said(&mut session, line.as_bytes());
        assert_eq!(refused, "b BAD UNAUTHENTICATE is not offered\r\n");
        assert_eq!(session.user(), Some(UserId(1)));
    }
}

#[test]
fn scram_is_bound_to_the_channel_it_is_said_over() {
    let config = Arc::new(SessionConfig {
        scram: Arc::new(true.into()),
        login_failures_max: 200,
        ..SessionConfig::default()
    });
    let (mut session, greeting) = secure(&config, channel(true, None));
    assert!(greeting.contains(PLUS), "{greeting}");
    let first = |session: &mut Session, mechanism: &str, header: &str| {
        let message = encoded(format!("{header}n=fred,r=abc"));
        said(
            session,
            format!("a AUTHENTICATE {mechanism} {message}\r\n").as_bytes(),
        )
    };
    // Who binds in another way, or not at all, or believes that it can't be done here.
    for (mechanism, header) in [
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,"),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"),
        ("SCRAM-SHA-256-PLUS", "n,,"),
        ("SCRAM-SHA-256-PLUS", "y,,"),
        ("SCRAM-SHA-256", "y,,"),
    ] {
        assert_eq!(first(&mut session, mechanism, header), "(asks)", "{header}");
        session.handle_reply(Reply::Refused(Refusal::Credentials));
        let refused = said(&mut session, b"");
        assert!(
            refused.starts_with("a NO [AUTHENTICATIONFAILED]"),
            "{refused}"
        );
    }
    let refused = first(&mut session, "SCRAM-SHA-256", "p=tls-exporter,,");
    assert!(refused.starts_with("a NO [CANNOT]"), "{refused}");
    let challenge = || {
        Reply::Challenged(mail::reply::Challenge {
            salt: b"salt"[..].into(),
            iterations: 4096,
            nonce: "xyz".into(),
        })
    };
    let proof = |session: &mut Session, bound: &[u8]| {
        assert_eq!(
            first(session, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,"),
            "(asks)"
        );
        session.handle_reply(challenge());
        said(session, b"");
        let bound = encoded([b"p=tls-exporter,,", bound].concat());
        let last = encoded(format!("c={bound},r=abcxyz,p=cHJvb2Y="));
        let credentials = asked(session, format!("{last}\r\n").as_bytes()).unwrap();
        session.handle_reply(Reply::Refused(Refusal::Credentials));
        said(session, b"");
        match credentials.evidence {
            Evidence::Proof { proof, .. } => proof.to_vec(),
            _ => panic!("a proof"),
        }
    };
    assert_eq!(proof(&mut session, &[7; 32]), b"proof");
    for other in [&[8; 32][..], &[7; 31], b""] {
        assert_eq!(proof(&mut session, other), b"", "it is taken away");
    }
    // Without a channel that can be bound to nothing of it is there, and `y` is right.
    let (mut session, greeting) = secure(&config, channel(false, None));
    assert!(!greeting.contains(PLUS), "{greeting}");
    let refused = first(&mut session, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,");
    assert!(refused.starts_with("a NO [CANNOT]"), "{refused}");
    assert_eq!(first(&mut session, "SCRAM-SHA-256", "y,,"), "(asks)");
}
