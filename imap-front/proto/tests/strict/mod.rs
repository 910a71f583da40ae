//! imap-codec as a strict client: it reads everything that it knows.

use imap_codec::decode::Decoder;
use imap_codec::imap_types::response::{Response, Status};
use imap_codec::{GreetingCodec, ResponseCodec};

/// Responses that imap-codec doesn't know: ESEARCH (RFC 4731), those of ACL (RFC 4314), extended
/// items of LIST (RFC 5258), SIZE (RFC 8438) and APPENDLIMIT (RFC 7889) of STATUS, XSENDER of
/// FETCH, and what servers of the past said.
fn is_foreign(rest: &[u8]) -> bool {
    let line = rest.split(|&b| b == b'\r').next().unwrap_or(rest);
    ["* ESEARCH ", "* ACL ", "* MYRIGHTS ", "* LISTRIGHTS "]
        .iter()
        .any(|word| line.starts_with(word.as_bytes()))
        || line.starts_with(b"* LIST ") && line.ends_with(b"(\"CHILDINFO\" (\"SUBSCRIBED\"))")
        || OF_THE_PAST.iter().any(|start| line.starts_with(start))
        || line.starts_with(b"* ") && line.windows(16).any(|it| it == b"FETCH (XSENDER \"")
        || line.starts_with(b"* STATUS ") && line.ends_with(b"APPENDLIMIT 2000)")
}

const OF_THE_PAST: [&[u8]; 6] = [
    b"* MAILBOX ",
    b"* VERSION ",
    b"* ACCOUNT-URL ",
    b"* XSERVERINFO ",
    b"* XMAILBOXINFO ",
    b"* ANNOTATION ",
];

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
            let end = rest
                .iter()
                .position(|&b| b == b'\n')
                .map_or(rest.len(), |end| end + 1);
            rest = &rest[end..];
            continue;
        }
        let (left, response) = ResponseCodec::new().decode(rest).map_err(|_| first(rest))?;
        tagged += usize::from(matches!(response, Response::Status(Status::Tagged(_))));
        rest = left;
    }
    Ok(tagged)
}
