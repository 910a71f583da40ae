//! Signed URLs (RFC 4467), of which imap-codec knows nothing: commands and URLs made by the grammar
//! are read as they were meant, and what the server says in the transcripts obeys it.

use std::path::Path;

use mail::signed_url::{AccessKey, KEY_BYTES, UrlAccess};
use mail::{MailboxName, Uid};
use proptest::prelude::*;
use proto::imap::ast::{Command, Section, SectionText};
use proto::imap::encode;
use proto::imap::lexer::Lexer;
use proto::imap::parse::parse_command;
use proto::imap::url_auth::{full, rump};

/// Percent-encoding of all that may need it (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'/' => "/".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

prop_compose! {
    fn access()(kind in 0..4u8, user in "[a-zA-Z0-9@+;:/% \u{e9}\u{65e5}]{1,12}") -> UrlAccess {
        match kind {
            0 => UrlAccess::Submit(user.into()),
            1 => UrlAccess::User(user.into()),
            2 => UrlAccess::AuthUser,
            _ => UrlAccess::Anonymous,
        }
    }
}

fn written(access: &UrlAccess) -> String {
    let user = |name: &str| encoded(name).replace('/', "%2F");
    match access {
        UrlAccess::Submit(name) => format!("submit+{}", user(name)),
        UrlAccess::User(name) => format!("user+{}", user(name)),
        UrlAccess::AuthUser => "authuser".into(),
        UrlAccess::Anonymous => "anonymous".into(),
    }
}

proptest! {
    #[test]
    fn urls_are_read_as_they_were_meant(
        owner in "[a-zA-Z0-9@+;:% \u{e9}]{1,12}",
        name in "[a-zA-Z][a-zA-Z0-9 ;:@\u{e9}\u{65e5}]{0,8}(/[a-zA-Z0-9 ;:@]{1,8}){0,3}",
        validity in prop::option::of(1..=u32::MAX),
        uid in 1..=u32::MAX,
        part in prop::collection::vec(1..99u32, 0..4),
        partial in prop::option::of((any::<u32>(), prop::option::of(1..=u32::MAX))),
        expires_s in prop::option::of(0..4_000_000_000i64),
        access in access(),
        key in any::<u8>(),
    ) {
        let mut url = format!("imap://{}@example.com/{}", encoded(&owner), encoded(&name));
        if let Some(validity) = validity {
            url.push_str(&format!(";UIDVALIDITY={validity}"));
        }
        url.push_str(&format!("/;UID={uid}"));
        if !part.is_empty() {
            let part: Vec<String> = part.iter().map(u32::to_string).collect();
            url.push_str(&format!("/;SECTION={}", part.join(".")));
        }
        match partial {
            Some((first, Some(count))) => url.push_str(&format!("/;PARTIAL={first}.{count}")),
            Some((first, None)) => url.push_str(&format!("/;PARTIAL={first}")),
            None => {}
        }
        if let Some(at) = expires_s {
            let (year, month, day) = encode::civil_from_days(at / 86_400);
            let (hour, minute, second) = (at / 3600 % 24, at / 60 % 60, at % 60);
            url.push_str(&format!(
                ";EXPIRE={year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
            ));
        }
        url.push_str(&format!(";URLAUTH={}", written(&access)));
        let read = rump(url.as_bytes()).expect("a URL");
        prop_assert_eq!(&*read.url.owner, &*owner);
        prop_assert_eq!(&read.url.mailbox, &MailboxName::new(&name));
        prop_assert_eq!((read.url.uid_validity, read.message.uid), (validity, Uid(uid)));
        let section = Section { part, text: SectionText::Whole };
        prop_assert_eq!(&read.message.section, &section);
        let partial = partial.map(|(first, count)| (first, count.unwrap_or(u32::MAX)));
        prop_assert_eq!(read.message.partial, partial);
        prop_assert_eq!((&read.access, read.expires_s), (&access, expires_s));
        prop_assert_eq!(&*read.url.rump, url.as_bytes());
        let token = AccessKey::new([key; KEY_BYTES]).token(&read.url.rump);
        let whole = format!("{url}:internal:{token}");
        prop_assert_eq!(full(whole.as_bytes()), Ok((read, token)));
        // It is none without its last letter, nor with one more.
        prop_assert!(full(&whole.as_bytes()[..whole.len() - 1]).is_err());
        let longer = format!("{whole}0");
        prop_assert!(full(longer.as_bytes()).is_err());
    }

    #[test]
    fn commands_are_read_as_they_were_meant(
        urls in prop::collection::vec(prop::collection::vec(1..=255u8, 0..30), 1..64),
        mechanism in "[a-zA-Z0-9.-]{1,10}",
        name in prop::option::of("[a-z]{1,8}"),
    ) {
        let (mut sign, mut fetch) = (b"a GENURLAUTH".to_vec(), b"a urlfetch".to_vec());
        let mut reset = b"a RESETKEY".to_vec();
        for url in &urls {
            for line in [&mut sign, &mut fetch] {
                line.push(b' ');
                encode::astring(line, url);
            }
            sign.extend_from_slice(format!(" {mechanism}").as_bytes());
        }
        let mut mechanisms = vec![];
        if let Some(name) = &name {
            reset.extend_from_slice(format!(" {name} {mechanism}").as_bytes());
            mechanisms.push(mechanism.to_ascii_uppercase().into());
        }
        let read = |line: &[u8]| parse_command(line).map(|tagged| tagged.command);
        let upper: Box<str> = mechanism.to_ascii_uppercase().into();
        let pairs = urls.iter().map(|url| (url.clone(), upper.clone())).collect();
        prop_assert_eq!(read(&sign), Ok(Command::GenUrlAuth(pairs)));
        prop_assert_eq!(read(&fetch), Ok(Command::UrlFetch(urls)));
        let mailbox = name.as_deref().map(MailboxName::new);
        prop_assert_eq!(read(&reset), Ok(Command::ResetKey { mailbox, mechanisms }));
    }
}

#[test]
fn what_is_no_command_is_refused() {
    let many = |word: &str, one: &str| format!("a {word}{}", format!(" {one}").repeat(65));
    for wrong in [
        "a GENURLAUTH".to_owned(),
        "a GENURLAUTH x".to_owned(),
        "a GENURLAUTH x INTERNAL y".to_owned(),
        "a GENURLAUTH x IN_TERNAL".to_owned(),
        "a GENURLAUTH x  INTERNAL".to_owned(),
        "a URLFETCH".to_owned(),
        "a URLFETCH x ".to_owned(),
        "a URLFETCH (x BINARY)".to_owned(),
        "a RESETKEY ".to_owned(),
        "a RESETKEY x ()".to_owned(),
        many("GENURLAUTH", "x INTERNAL"),
        many("URLFETCH", "x"),
        format!("a RESETKEY x{}", " INTERNAL".repeat(9)),
    ] {
        assert!(parse_command(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

/// ```text
/// genurlauth-data = "*" SP "GENURLAUTH" 1*(SP url-full)
/// urlfetch-data   = "*" SP "URLFETCH" 1*(SP url-full SP nstring)
/// ```
#[test]
fn what_the_server_says_obeys_the_grammar() {
    let (mut signed, mut fetched) = (0, 0);
    for name in ["urlauth", "urlauth_of_others"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).expect("there");
        let said = |line: &str| {
            let rest = line.strip_prefix("S:")?;
            Some(format!("{}\r\n", rest.strip_prefix(' ').unwrap_or(rest)))
        };
        let said: String = text.lines().filter_map(said).collect();
        for (at, word) in said.match_indices("* GENURLAUTH ") {
            let line = said[at + word.len() - 1..].split("\r\n").next();
            let mut lexer = Lexer::new(line.expect("a line").as_bytes());
            while lexer.peek().is_some() {
                lexer.space().expect("a space");
                full(&lexer.astring().expect("a URL")).expect("a signed one");
                signed += 1;
            }
        }
        for (at, word) in said.match_indices("* URLFETCH ") {
            let mut lexer = Lexer::new(&said.as_bytes()[at + word.len()..]);
            lexer.astring().expect("a URL");
            lexer.space().expect("a space");
            lexer.nstring().expect("a string or NIL");
            assert!(lexer.rest().starts_with(b"\r\n"), "one URL a response");
            fetched += 1;
        }
    }
    assert!(signed > 8 && fetched > 20, "{signed} and {fetched}");
}
