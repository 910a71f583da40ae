//! A browser that was led to a port of mail: what it sends is an HTTP request, whose body somebody
//! else may have written as commands (cross-protocol attacks). No line of IMAP or LMTP looks like
//! the first of a request, so the session ends there.

/// Methods of HTTP, as its registry has those that browsers send, and how HTTP/2 begins.
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
];

/// Whether a line, or its beginning, is that of an HTTP request (RFC 9112 §3): a method, and what
/// it is about, which is a path or ends with the version.
pub(crate) fn is_request(line: &[u8]) -> bool {
    let Some(space) = line.iter().position(|&byte| byte == b' ') else {
        return false;
    };
    let (method, rest) = (&line[..space], &line[space + 1..]);
    METHODS.contains(&method)
        && (rest.starts_with(b"/") || rest.windows(6).any(|part| part == b" HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::is_request;

    #[test]
    fn requests_are_told_from_commands() {
        for line in [
            "GET / HTTP/1.1",
            "POST /a%20LOGIN HTTP/1.0",
            "GET /as-of-0.9",
            "OPTIONS * HTTP/1.1",
            "CONNECT mail.example:993 HTTP/1.1",
            "PRI * HTTP/2.0",
            "GET http://mail.example/ HTTP/1.1",
        ] {
            assert!(is_request(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "GET",
            "a LOGIN / HTTP/1.1",
            "GET LOGIN fred /",
            "POST NOOP",
            "get / HTTP/1.1",
            "DELETE DELETE /HTTP/1.1",
            "NOOP",
            "DATA",
        ] {
            assert!(!is_request(line.as_bytes()), "{line}");
        }
    }
}
