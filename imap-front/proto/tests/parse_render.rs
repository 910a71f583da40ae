//! What is written about messages, read by imap-codec: a client's strict view of it.

#[path = "../../../tests/fuzz/mutate.rs"]
mod mutate;

use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::body::BodyStructure;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::FlagFetch;
use imap_codec::imap_types::response::{Data, Response};
use mail::mime::Structure;
use mail::{Flags, InternalDate, SystemFlag};
use mutate::{Rng, mutated};
use proto::imap::encode;
use proto::imap::render::{self, Shape};

/// Mutations of each message.
const ROUNDS: usize = 500;

fn messages() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/mime");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("seeds")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("a readable seed");
    paths.into_iter().map(read).collect()
}

/// A FETCH response with all that is said about a message.
fn response(message: &[u8]) -> Vec<u8> {
    let structure = Structure::parse(message);
    let mut out = b"* 1 FETCH (ENVELOPE ".to_vec();
    render::envelope(&mut out, &structure.envelope);
    for (item, extended) in [(" BODY ", false), (" BODYSTRUCTURE ", true)] {
        out.extend_from_slice(item.as_bytes());
        let global = false;
        render::bodystructure(&mut out, &structure.root, Shape { extended, global });
    }
    out.extend_from_slice(b")\r\n");
    out
}

fn items(response: &[u8]) -> Vec<MessageDataItem<'_>> {
    match ResponseCodec::new().decode(response) {
        Ok((b"", Response::Data(Data::Fetch { items, .. }))) => items.into_iter().collect(),
        other => panic!("{other:?}: {}", response.escape_ascii()),
    }
}

fn check(message: &[u8]) {
    let response = response(message);
    let items = items(&response);
    let [
        MessageDataItem::Envelope(_),
        MessageDataItem::Body(short),
        MessageDataItem::BodyStructure(long),
    ] = items.as_slice()
    else {
        panic!("{items:?}");
    };
    let root = Structure::parse(message).root;
    for body in [short, long] {
        match body {
            BodyStructure::Single { body, .. } => {
                let octets = root.body.end - root.body.start;
                assert_eq!(u64::from(body.basic.size), octets);
            }
            BodyStructure::Multi { bodies, .. } => {
                let mail::mime::Content::Multipart(parts) = &root.content else {
                    panic!("no multipart: {root:?}");
                };
                assert_eq!(bodies.as_ref().len(), parts.len());
            }
        }
    }
}

#[test]
fn structures_of_any_message() {
    let messages = messages();
    for (number, message) in messages.iter().enumerate() {
        check(message);
        let mut rng = Rng(number as u64);
        for _ in 0..ROUNDS {
            let other = &messages[rng.below(messages.len())];
            check(&mutated(message, other, &mut rng));
        }
    }
}

/// As deep as imap-codec looks.
#[test]
fn messages_in_messages() {
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(5);
    check(nested.as_bytes());
    let boundaries: String = (0..5)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    check(boundaries.as_bytes());
}

#[test]
fn flags_and_dates() {
    let mut flags = Flags::new(31, ["$Junk".into(), "work".into()]);
    flags.remove(SystemFlag::Draft);
    let date = InternalDate {
        unix_s: 837_596_665,
        zone_min: -420,
    };
    let mut out = b"* 7 FETCH (FLAGS ".to_vec();
    encode::flags(&mut out, &flags, true);
    out.extend_from_slice(b" INTERNALDATE ");
    encode::internal_date(&mut out, date);
    out.extend_from_slice(b" MODSEQ (9) UID 3)\r\n");
    let items = items(&out);
    let MessageDataItem::Flags(read) = &items[0] else {
        panic!("{items:?}");
    };
    let name = |flag: &FlagFetch<'_>| match flag {
        FlagFetch::Flag(flag) => flag.to_string(),
        FlagFetch::Recent => "\\Recent".to_owned(),
    };
    let names: Vec<String> = read.iter().map(name).collect();
    let expected = [
        "\\Answered",
        "\\Flagged",
        "\\Deleted",
        "\\Seen",
        "$Junk",
        "work",
        "\\Recent",
    ];
    assert_eq!(names, expected);
    let MessageDataItem::InternalDate(read) = &items[1] else {
        panic!("{items:?}");
    };
    assert_eq!(read.as_ref().timestamp(), date.unix_s);
    assert_eq!(read.as_ref().offset().local_minus_utc(), -7 * 3600);
}
