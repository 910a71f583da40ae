//! Bytes to commands: the lexer, the parser, sequence sets, modified UTF-7.

use std::hint::black_box;

use benches::Case;
use criterion::Throughput;
use mail::set::{SequenceSet, SetNumber};
use proto::imap::lexer::{Lexer, Parsed};
use proto::imap::mutf7;
use proto::imap::parse::{parse_command, sequence_set};

const COMMANDS: [(&str, &str); 6] = [
    ("idle", "a7 IDLE"),
    ("login", "a1 LOGIN load4711 secret"),
    ("select", "a2 SELECT INBOX"),
    (
        "fetch",
        "a4 UID FETCH 1:500,777,900:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO)])",
    ),
    (
        "search",
        "a5 UID SEARCH CHARSET UTF-8 OR FROM anna (SINCE 1-Feb-2026 NOT KEYWORD junk) TEXT mail",
    ),
    ("no_command", "a6 FETSCH 1:* FLAGS"),
];
const MAILBOX: &str = "Entwürfe/日本語/Archive 2026";
/// Ranges of the sequence sets.
const RANGES: [u32; 3] = [1, 100, 1000];

fn main() {
    let cases = [lexer(), parse(), sets(), names()];
    benches::run(cases.into_iter().flatten().collect());
}

fn bytes(text: &str) -> Throughput {
    Throughput::Bytes(text.len() as u64)
}

/// The kinds of tokens, each by itself.
fn lexer() -> Vec<Case> {
    let literal = format!("{{1024}}\r\n{}", "x".repeat(1024));
    vec![
        token("words", "UID FETCH BODY.PEEK FLAGS INTERNALDATE", |lexer| {
            while lexer.peek().is_some() {
                black_box(lexer.word("a word")?);
                lexer.take(b' ');
            }
            Ok(())
        }),
        token("atoms", "(\\ INBOX $Forwarded Sent load4711)", |lexer| {
            lexer.need(b'(', "(")?;
            lexer.take(b'\\');
            while lexer.take(b' ') {
                black_box(lexer.atom("an atom")?);
            }
            lexer.need(b')', ")")
        }),
        token("numbers", "1 22 333 4444 4294967295", |lexer| {
            while lexer.peek().is_some() {
                black_box(lexer.number()?);
                lexer.take(b' ');
            }
            Ok(())
        }),
        token("quoted", "\"Archive of the year 2026\"", string),
        token(
            "escaped",
            "\"Archive \\\"of\\\" the year \\\\ 2026\"",
            string,
        ),
        token("literal", &literal, string),
    ]
}

fn string(lexer: &mut Lexer<'_>) -> Parsed<()> {
    black_box(lexer.astring()?);
    Ok(())
}

fn token(name: &str, text: &str, lex: fn(&mut Lexer<'_>) -> Parsed<()>) -> Case {
    let input = text.to_owned();
    Case::new(format!("lexer/{name}"), bytes(text), move || {
        let input = input.clone();
        move || {
            let mut lexer = Lexer::new(black_box(input.as_bytes()));
            lex(&mut lexer).expect("well-formed");
            lexer.end().expect("nothing is left");
        }
    })
}

fn parse() -> Vec<Case> {
    let case = |(name, line): (_, &'static str)| {
        let is_command = name != "no_command";
        assert_eq!(parse_command(line.as_bytes()).is_ok(), is_command, "{line}");
        Case::new(format!("parse/{name}"), bytes(line), move || {
            || parse_command(black_box(line.as_bytes()))
        })
    };
    COMMANDS.into_iter().map(case).collect()
}

fn sets() -> Vec<Case> {
    let parse = |ranges: u32| {
        let text = text_of(ranges);
        let work = bytes(&text);
        Case::new(format!("sequence_set/parse/{ranges}"), work, move || {
            let text = text.clone();
            move || sequence_set(&mut Lexer::new(black_box(text.as_bytes())))
        })
    };
    let resolve = |ranges: u32| {
        let work = Throughput::Elements(ranges.into());
        Case::new(format!("sequence_set/resolve/{ranges}"), work, move || {
            let set = set_of(ranges);
            move || black_box(&set).resolve(1_000_000)
        })
    };
    let parses = RANGES.into_iter().map(parse);
    parses.chain(RANGES.into_iter().map(resolve)).collect()
}

/// Ranges that don't touch: 1:2, 4:5, ….
fn set_of(ranges: u32) -> SequenceSet {
    let value = SetNumber::Value;
    let range = |n| (value(3 * n + 1), value(3 * n + 2));
    SequenceSet((0..ranges).map(range).collect())
}

fn text_of(ranges: u32) -> String {
    let range = |n| format!("{}:{}", 3 * n + 1, 3 * n + 2);
    let text = (0..ranges).map(range).collect::<Vec<_>>().join(",");
    let parsed = sequence_set(&mut Lexer::new(text.as_bytes()));
    assert_eq!(parsed, Ok(set_of(ranges)), "the same set in both forms");
    text
}

fn names() -> Vec<Case> {
    let encoded = mutf7::encode(MAILBOX);
    let work = bytes(&encoded);
    vec![
        Case::new("mutf7/encode", work.clone(), || {
            || mutf7::encode(black_box(MAILBOX))
        }),
        Case::new("mutf7/decode", work, move || {
            let encoded = encoded.clone();
            move || mutf7::decode(black_box(encoded.as_bytes()))
        }),
    ]
}
