//! Messages: structures lie within their message, are written as well-formed data items, and
//! searches agree with their negation.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;
use mail::mime::{Content, Part, Structure, What, header};
use mail::search::{Candidate, Key, Program, matches};
use mail::{EmailId, Flags, InternalDate, ModSeq, Uid};
use proto::imap::ast::Command;
use proto::imap::lexer::Lexer;
use proto::imap::parse::parse_command;
use proto::imap::render::{self, Shape};

/// A message as a client or a deliverer may send it.
pub fn mime(data: &[u8]) {
    let structure = Structure::parse(data);
    assert_eq!(structure.header.start, 0);
    assert_eq!(structure.body.end, data.len() as u64);
    check_message(&structure, &structure, &[]);
    let header = &data[..structure.header.end as usize];
    let fields = header::fields(header).len();
    let (kept, left) = (
        header::filter(header, &["subject", "To"], true),
        header::filter(header, &["subject", "To"], false),
    );
    assert_eq!(
        header::fields(&kept).len() + header::fields(&left).len(),
        fields
    );
    assert!(kept.ends_with(b"\r\n") && left.ends_with(b"\r\n"));
    let mut out = Vec::new();
    render::envelope(&mut out, &structure.envelope);
    check_item(&out);
    for (extended, global) in [(false, false), (true, false), (false, true), (true, true)] {
        out.clear();
        render::bodystructure(&mut out, &structure.root, Shape { extended, global });
        check_item(&out);
    }
}

fn check_message(outermost: &Structure, message: &Structure, path: &[u32]) {
    assert_eq!(message.header.end, message.body.start);
    assert_eq!(message.root.body, message.body);
    if let Content::Multipart(_) = message.root.content {
        check_part(outermost, &message.root, path);
    } else {
        check_part(outermost, &message.root, &[path, &[1]].concat());
    }
}

fn check_part(outermost: &Structure, part: &Part, path: &[u32]) {
    assert_eq!(part.header.end, part.body.start);
    assert!(part.lines <= length(&part.body));
    if !path.is_empty() && !matches!(part.content, Content::Multipart(_)) {
        assert_eq!(
            outermost.resolve(path, What::Whole),
            Some(part.body.clone())
        );
        assert_eq!(
            outermost.resolve(path, What::Mime),
            Some(part.header.clone())
        );
    }
    match &part.content {
        Content::Leaf => {}
        Content::Message(message) => {
            assert_eq!(message.header.start, part.body.start);
            assert_eq!(message.body.end, part.body.end);
            assert_eq!(
                outermost.resolve(path, What::Text),
                Some(message.body.clone())
            );
            check_message(outermost, message, path);
        }
        Content::Multipart(parts) => {
            assert!(!parts.is_empty());
            let mut end = part.body.start;
            for (child, number) in parts.iter().zip(1..) {
                assert!(child.header.start >= end && child.body.end <= part.body.end);
                end = child.body.end;
                check_part(outermost, child, &[path, &[number]].concat());
            }
        }
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

/// One value of a FETCH response: a list, a string, a number or NIL, and nothing after it.
fn check_item(bytes: &[u8]) {
    let mut lexer = Lexer::new(bytes);
    let mut depth = 0;
    loop {
        match lexer.peek() {
            Some(b'(') => {
                assert!(lexer.take(b'('));
                depth += 1;
                continue;
            }
            Some(b'"' | b'{') => drop(lexer.string().expect("a string")),
            Some(b'0'..=b'9') => drop(lexer.number64().expect("a number")),
            _ => assert!(lexer.keyword("NIL"), "{}", String::from_utf8_lossy(bytes)),
        }
        while depth > 0 && lexer.take(b')') {
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
        // Lists follow one another without a blank: addresses and parts do so.
        let _ = lexer.take(b' ');
    }
    lexer.end().expect("nothing after the value");
}

/// A search key in the first line, a message in the others.
pub fn search(data: &[u8]) {
    let end = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (line, message) = data.split_at(end);
    let command = [b"a SEARCH ", line.trim_ascii_end()].concat();
    let Ok(Command::Search { key, .. }) = parse_command(&command).map(|tagged| tagged.command)
    else {
        return;
    };
    let message = Bytes::copy_from_slice(message.get(1..).unwrap_or_default());
    let found = holds(key.clone(), &message);
    let not = holds(Key::Not(Box::new(key.clone())), &message);
    assert_ne!(found, not, "{key:?}");
    assert_eq!(
        found,
        holds(Key::And(vec![key.clone(), Key::All]), &message)
    );
    assert_eq!(
        found,
        holds(Key::Or(Box::new(not_all()), Box::new(key)), &message)
    );
}

fn not_all() -> Key {
    Key::Not(Box::new(Key::All))
}

fn holds(key: Key, message: &Bytes) -> bool {
    let program = Program { key };
    let reads = Cell::new(0);
    let candidate = Candidate {
        uid: Uid(7),
        modseq: ModSeq(9),
        flags: &Flags::default(),
        date: InternalDate::default(),
        saved: None,
        email: EmailId(1),
        thread: &|| None,
        size: message.len() as u64,
        now_s: 1_000_000_000,
        recent: false,
        header: &|_, _| None,
        bytes: &|| {
            reads.set(reads.get() + 1);
            message.clone()
        },
    };
    let found = matches(&program, &candidate);
    assert!(
        reads.get() <= u32::from(program.needs_content()),
        "{program:?}"
    );
    found
}
