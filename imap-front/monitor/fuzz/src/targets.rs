//! What is promised for any bytes whatsoever.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use monitor::http::{Access, Answer, Fault, Method, Request, Requests, Token};

/// Fields that are asked for besides, as one door or the other does.
const WANTED: [&[&str]; 2] = [&[], &["auth-user", "auth-protocol", "auth-method"]];
/// The token that is asked for.
const TOKEN: &str = "0123456789abcdefghijklmnopqrstuv";

/// All that a client asks which sends these bytes in pieces, and why no more is taken from it.
fn asked(
    data: &[u8],
    wanted: &'static [&'static str],
    piece: usize,
) -> (Vec<Request>, Option<Fault>) {
    let mut requests = Requests::wanting(wanted);
    let (mut found, mut rest) = (Vec::new(), data);
    loop {
        match requests.next_request() {
            Ok(Some(request)) => found.push(request),
            Ok(None) if rest.is_empty() => return (found, None),
            Ok(None) => {
                let room = requests.room();
                assert!(room > 0, "a client that can't go on is told why");
                let (next, more) = rest.split_at(piece.min(room).min(rest.len()));
                requests.feed(next);
                rest = more;
            }
            Err(fault) => return (found, Some(fault)),
        }
    }
}

fn is_clean(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// Requests, in any pieces: the same are read, and each can be answered.
pub fn http_request(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let wanted = WANTED[usize::from(first & 1)];
    let whole = asked(data, wanted, usize::MAX);
    let piece = 1 + usize::from(first >> 1);
    let (found, fault) = asked(data, wanted, piece);
    // What is wrong with a request may be found before it is whole; which was asked before, not.
    assert_eq!(whole.0, found);
    assert_eq!(whole.1.is_some(), fault.is_some());
    for request in found {
        assert!(!request.path.contains(['?', ' ']) && is_clean(&request.path));
        let host = request.host.as_deref().unwrap_or_default();
        assert!(is_clean(host) && !host.contains(|it: char| it.is_ascii_uppercase()));
        assert!(is_clean(
            request.authorization.as_deref().unwrap_or_default()
        ));
        for (name, value) in &request.fields {
            assert!(wanted.contains(name) && is_clean(value));
            assert_eq!(request.field(name), Some(&**value), "once only");
        }
        answered(request.method, request.keeps_open, 200);
    }
    if let Some(fault) = fault {
        answered(Method::Get, false, fault.code());
    }
}

/// An answer is one, and as long as it says.
fn answered(method: Method, keeps_open: bool, code: u16) {
    let answer = Answer::of(code, "x");
    let bytes = answer.to_bytes(method, keeps_open, SystemTime::UNIX_EPOCH);
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut fields);
    let head = parsed.parse(&bytes).expect("an answer").unwrap();
    assert_eq!(parsed.code, Some(code));
    let body = if method == Method::Get { 2 } else { 0 };
    assert_eq!(bytes.len() - head, body);
}

/// Who may look: on the own host nobody who asks by another name, elsewhere nobody who shows no
/// token; how it is shown is the client's choice.
pub fn http_access(data: &[u8]) {
    let token = Access::Token(Token::new(TOKEN).expect("it is long enough"));
    let text = String::from_utf8_lossy(data);
    let request = |host: Option<&str>, authorization: Option<&str>| Request {
        method: Method::Get,
        path: "/".into(),
        host: host.map(str::to_owned),
        authorization: authorization.map(str::to_owned),
        keeps_open: true,
        fields: Vec::new(),
    };
    let own = ["localhost", "127.0.0.1", "[::1]"].contains(&&*text);
    let looks = |access: &Access, request: &Request| access.check(request).is_ok();
    assert_eq!(looks(&Access::OwnHost, &request(Some(&text), None)), own);
    // Whatever is said, the token is in it: as it is, or behind a name.
    if looks(&token, &request(Some("h"), Some(&text))) {
        let (_, value) = text.split_once(' ').expect("a scheme");
        let pair = STANDARD.decode(value.trim()).unwrap_or_default();
        let pair = String::from_utf8_lossy(&pair).into_owned();
        assert!(value.trim() == TOKEN || pair.ends_with(&format!(":{TOKEN}")));
    }
    // Any name may stand before it, without a colon.
    let pair = [data, b":", TOKEN.as_bytes()].concat();
    let shown = format!("Basic {}", STANDARD.encode(pair));
    assert_eq!(
        looks(&token, &request(None, Some(&shown))),
        !data.contains(&b':')
    );
    // What is no token is not taken for one.
    if let Ok(other) = Token::new(&text) {
        let shown = format!("Bearer {text}");
        assert!(looks(&Access::Token(other), &request(None, Some(&shown))));
        assert_eq!(
            looks(&token, &request(None, Some(&shown))),
            text.trim() == TOKEN
        );
    }
}
