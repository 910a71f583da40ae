//! imap-codec as a strict client: it reads everything that it knows.

use imap_codec::decode::Decoder;
use imap_codec::imap_types::response::{Response, Status};
use imap_codec::{GreetingCodec, ResponseCodec};

/// Responses that imap-codec doesn't know: ESEARCH (RFC 4731), those of ACL (RFC 4314), extended
/// items of LIST (RFC 5258, RFC 5465), SIZE (RFC 8438) and APPENDLIMIT (RFC 7889) of STATUS,
/// XSENDER of FETCH, `message/global` in BODY as RFC 9051 has it, GENURLAUTH and URLFETCH
/// (RFC 4467; `tests/urls.rs` reads these), LANGUAGE (RFC 5255), what RFC 8474, RFC 8514 and
/// RFC 8970 add, and what servers of the past said.
fn is_foreign(rest: &[u8]) -> bool {
    let line = rest.split(|&b| b == b'\r').next().unwrap_or(rest);
    const WORDS: [&str; 7] = [
        "ESEARCH",
        "ACL",
        "MYRIGHTS",
        "LISTRIGHTS",
        "LANGUAGE",
        "GENURLAUTH",
        "URLFETCH",
    ];
    WORDS
        .iter()
        .map(|word| format!("* {word} "))
        .any(|word| line.starts_with(word.as_bytes()))
        || line.starts_with(b"* LIST ") && line.ends_with(b"(\"CHILDINFO\" (\"SUBSCRIBED\"))")
        || line.starts_with(b"* LIST ") && contains(line, b" (\"OLDNAME\" (")
        || OF_THE_PAST.iter().any(|start| line.starts_with(start))
        || line.starts_with(b"* ") && line.windows(16).any(|it| it == b"FETCH (XSENDER \"")
        || NEW_ITEMS.iter().any(|item| contains(line, item)) && contains(line, b" FETCH (")
        || contains(line, b" FETCH (BODY ") && contains(line, b"(\"message\" \"global\" ")
        || contains(line, b"MAILBOXID (") && line.starts_with(b"* STATUS ")
        || line.starts_with(b"* STATUS ") && line.ends_with(b"APPENDLIMIT 2000)")
        || line.starts_with(b"* STATUS ") && contains(line, b" SIZE ")
}

/// Items of FETCH of RFC 8474, RFC 8514 and RFC 8970, of which those here stand on one line.
const NEW_ITEMS: [&[u8]; 4] = [b"EMAILID (", b"THREADID ", b"SAVEDATE ", b"PREVIEW "];

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|it| it == part)
}

const OF_THE_PAST: [&[u8]; 6] = [
    b"* MAILBOX ",
    b"* VERSION ",
    b"* ACCOUNT-URL ",
    b"* XSERVERINFO ",
    b"* XMAILBOXINFO ",
    b"* ANNOTATION ",
];

/// Bytes of a response, with its literals.
fn with_literals(rest: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let line = rest[end..].iter().position(|&b| b == b'\n');
        let Some(line) = line else { return rest.len() };
        end += line + 1;
        let text = String::from_utf8_lossy(&rest[..end]);
        let size = text
            .strip_suffix("}\r\n")
            .and_then(|it| it.rsplit_once('{'));
        match size.and_then(|(_, size)| size.parse::<usize>().ok()) {
            Some(size) => end += size,
            None => return end,
        }
    }
}

/// The tag and the text of a response whose text is not ASCII.
fn worded(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = line.split_at(line.iter().position(|&b| b == b' ')?);
    let words: [&[u8]; 4] = [b" OK ", b" NO ", b" BAD ", b" BYE "];
    let has_text = tag == b"+" || words.iter().any(|word| rest.starts_with(word));
    (has_text && !rest.is_ascii()).then_some((tag, rest))
}

/// A UIDFETCH (RFC 9586 §3.3) as a FETCH, which is all but the same, and what follows it.
fn as_fetch(rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    const WORD: &[u8] = b" UIDFETCH (";
    let number = rest.strip_prefix(b"* ")?;
    let end = number.iter().position(|it| !it.is_ascii_digit())?;
    let items = number[end..].strip_prefix(WORD)?;
    let (_, after) = rest.split_at(with_literals(rest));
    let items = &items[..items.len() - after.len()];
    Some(([b"* ", &number[..end], b" FETCH (", items].concat(), after))
}

/// Reads a greeting and all that follows; how many tagged responses there were.
///
/// # Errors
/// The line that can't be read.
pub fn read(said: &[u8]) -> Result<usize, String> {
    let first = |rest: &[u8]| {
        let line = rest.split_inclusive(|&b| b == b'\n').next();
        line.unwrap_or(rest).escape_ascii().to_string()
    };
    let (mut rest, _) = GreetingCodec::new().decode(said).map_err(|_| first(said))?;
    let mut tagged = 0;
    while !rest.is_empty() {
        if is_foreign(rest) {
            rest = &rest[with_literals(rest)..];
            continue;
        }
        // RFC 5255 §3.5: after LANGUAGE texts are in UTF-8, which it does not take.
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        if let Some((tag, text)) = worded(line) {
            assert!(std::str::from_utf8(text).is_ok(), "{}", first(rest));
            tagged += usize::from(tag != b"*" && tag != b"+");
            rest = after;
            continue;
        }
        if let Some((fetch, after)) = as_fetch(rest) {
            let (left, _) = ResponseCodec::new()
                .decode(&fetch)
                .map_err(|_| first(rest))?;
            assert!(left.is_empty(), "{}", first(rest));
            rest = after;
            continue;
        }
        // RFC 9755 §3: names are in UTF-8 for who has enabled that.
        if line.starts_with(b"* ") && !line.is_ascii() && !line.ends_with(b"}\r\n") {
            assert!(std::str::from_utf8(line).is_ok(), "{}", first(rest));
            let plain = |&b: &u8| if b.is_ascii() { b } else { b'x' };
            let plain: Vec<u8> = line.iter().map(plain).collect();
            let decoded = ResponseCodec::new().decode(&plain);
            if decoded.is_ok_and(|(left, _)| left.is_empty()) {
                rest = after;
                continue;
            }
            return Err(first(rest));
        }
        let (left, response) = ResponseCodec::new().decode(rest).map_err(|_| first(rest))?;
        tagged += usize::from(matches!(response, Response::Status(Status::Tagged(_))));
        rest = left;
    }
    Ok(tagged)
}
