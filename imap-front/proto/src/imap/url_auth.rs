//! Absolute URLs that carry the right to what they name (RFC 4467 §3, RFC 5092 §11).

use mail::UrlToSign;
use mail::signed_url::{Token, UrlAccess};

use super::encode::{days_from_civil, days_in_month};
use super::url::{BadUrl, MessageUrl, UrlMailbox, decoded, relative};

/// The only way in which URLs are signed here.
pub const INTERNAL: &str = "INTERNAL";

/// A URL up to where its token will stand, or stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rump {
    /// What is signed.
    pub url: UrlToSign,
    /// Which message of the mailbox, and what of it.
    pub message: MessageUrl,
    /// Who may use the URL.
    pub access: UrlAccess,
    /// Up to when, in seconds since 1970.
    pub expires_s: Option<i64>,
}

/// ```text
/// authimapurlrump = "imap://" iserver "/" imessagepart iurlauth-rump     ; RFC 5092 §11
/// iurlauth-rump   = [expire] ";URLAUTH=" access
/// expire          = ";EXPIRE=" date-time                               ; RFC 3339 §5.6
/// access          = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous"
/// ```
///
/// # Errors
/// If it is none.
pub fn rump(text: &[u8]) -> Result<Rump, BadUrl> {
    let text = match std::str::from_utf8(text) {
        Ok(text) if text.is_ascii() => text,
        _ => return Err(BadUrl("letters of ASCII")),
    };
    const ACCESS: BadUrl = BadUrl("an access identifier at its end: ;URLAUTH=");
    let (url, access) = parameter(text, "URLAUTH=").ok_or(ACCESS)?;
    let access = self::access(access)?;
    let (url, expires_s) = match parameter(url, "EXPIRE=") {
        Some((url, date)) => (url, Some(date_time(date)?)),
        None => (url, None),
    };
    let (owner, path) = server(url)?;
    let mut message = relative(path.as_bytes())?;
    let mailbox = std::mem::replace(&mut message.mailbox, UrlMailbox::Selected);
    let UrlMailbox::Named(mailbox) = mailbox else {
        return Err(BadUrl("a mailbox"));
    };
    let url = UrlToSign {
        owner,
        mailbox,
        uid_validity: message.uid_validity,
        rump: text.as_bytes().into(),
    };
    Ok(Rump {
        url,
        message,
        access,
        expires_s,
    })
}

/// ```text
/// authimapurlfull = "imap://" iserver "/" imessagepart iurlauth
/// iurlauth        = iurlauth-rump iua-verifier
/// iua-verifier    = ":" uauth-mechanism ":" enc-urlauth
/// ```
///
/// # Errors
/// If it is none, or can't have been signed here.
pub fn full(text: &[u8]) -> Result<(Rump, Token), BadUrl> {
    const VERIFIER: BadUrl = BadUrl("what proves that it was signed at its end");
    let mut last = text.rsplitn(3, |&byte| byte == b':');
    let (Some(token), Some(mechanism), Some(rump)) = (last.next(), last.next(), last.next()) else {
        return Err(VERIFIER);
    };
    if !mechanism.eq_ignore_ascii_case(INTERNAL.as_bytes()) {
        return Err(VERIFIER);
    }
    let token = std::str::from_utf8(token).ok().and_then(Token::read);
    // Nothing else is done to it (RFC 4467 §6).
    Ok((self::rump(rump)?, token.ok_or(VERIFIER)?))
}

/// What is before the last parameter, and its value, if it is this.
fn parameter<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let (before, last) = text.rsplit_once(';')?;
    let (start, value) = last.split_at_checked(key.len())?;
    start.eq_ignore_ascii_case(key).then_some((before, value))
}

fn access(text: &str) -> Result<UrlAccess, BadUrl> {
    let after = |prefix: &str| {
        let (start, user) = text.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(user)
    };
    if let Some(user) = after("submit+") {
        return Ok(UrlAccess::Submit(self::user(user)?));
    }
    if let Some(user) = after("user+") {
        return Ok(UrlAccess::User(self::user(user)?));
    }
    match text.to_ascii_lowercase().as_str() {
        "authuser" => Ok(UrlAccess::AuthUser),
        "anonymous" => Ok(UrlAccess::Anonymous),
        _ => Err(BadUrl(
            "submit+USER, user+USER, authuser or anonymous behind ;URLAUTH=",
        )),
    }
}

/// ```text
/// enc-user = 1*achar
/// achar    = uchar / "&" / "="
/// ```
fn user(text: &str) -> Result<Box<str>, BadUrl> {
    const EXPECTED: BadUrl = BadUrl("users' names in percent-encoding");
    let is_achar = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$'()*+,&=%".contains(&b);
    if text.is_empty() || !text.bytes().all(is_achar) {
        return Err(EXPECTED);
    }
    let name = String::from_utf8(decoded(text)?).map_err(|_| EXPECTED)?;
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    is_name.then(|| name.into()).ok_or(EXPECTED)
}

/// ```text
/// iserver   = [iuserinfo "@"] host [":" port]    ; the user is needed (RFC 4467 §7 GENURLAUTH)
/// iuserinfo = enc-user [iauth] / [enc-user] iauth
/// ```
///
/// Whose it is, and the path. Servers have many names, and which one its clients use this one
/// doesn't know: any will do, as what was signed here is known by its token.
fn server(url: &str) -> Result<(Box<str>, &str), BadUrl> {
    const SCHEME: &str = "imap://";
    const EXPECTED: BadUrl = BadUrl("to begin with imap://USER@HOST/");
    let (start, rest) = url.split_at_checked(SCHEME.len()).ok_or(EXPECTED)?;
    let slash = rest.find('/').ok_or(EXPECTED)?;
    if !start.eq_ignore_ascii_case(SCHEME) {
        return Err(EXPECTED);
    }
    let (server, path) = rest.split_at(slash);
    let (info, host) = server
        .split_once('@')
        .ok_or(BadUrl("its owner's name before @"))?;
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%[]:".contains(&b);
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(EXPECTED);
    }
    // How its owner logs in does not matter.
    let owner = info.split_once(';').map_or(info, |(owner, _)| owner);
    Ok((user(owner)?, path))
}

/// ```text
/// date-time   = full-date "T" partial-time time-offset        ; RFC 3339 §5.6
/// time-offset = "Z" / ("+" / "-") time-hour ":" time-minute
/// ```
///
/// In seconds since 1970; what is left of a second is left out.
fn date_time(text: &str) -> Result<i64, BadUrl> {
    parsed_date_time(text).ok_or(BadUrl(
        "a date such as 2026-01-31T12:00:00Z behind ;EXPIRE=",
    ))
}

fn parsed_date_time(text: &str) -> Option<i64> {
    let (date, offset) = text.split_at_checked("2026-01-31T12:00:00".len())?;
    let field = |from: usize, len: usize| number(date.get(from..from + len)?);
    let is_at = |at: usize, any: &[u8]| any.contains(&date.as_bytes()[at]);
    let is_date = is_at(4, b"-") && is_at(7, b"-") && is_at(10, b"Tt");
    if !is_date || !is_at(13, b":") || !is_at(16, b":") {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 2)?, field(8, 2)?);
    let (hour, minute, second) = (field(11, 2)?, field(14, 2)?, field(17, 2)?);
    let is_month = (1..=12).contains(&month);
    if !is_month || day < 1 || day > days_in_month(i64::from(year), month) {
        return None;
    }
    // A leap second is the one before.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match offset.strip_prefix('.') {
        Some(rest) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (rest.len() + 1 < offset.len()).then_some(rest)?
        }
        None => offset,
    };
    let zone_s = match offset.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(&offset[1..3])?, number(&offset[4..6])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let ahead_s = i64::from(hours * 3600 + minutes * 60);
            if *sign == b'+' { ahead_s } else { -ahead_s }
        }
        _ => return None,
    };
    let days = days_from_civil(i64::from(year), month, day);
    let time_s = i64::from(hour * 3600 + minute * 60 + second.min(59));
    Some(days * 86_400 + time_s - zone_s)
}

fn number(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use mail::Uid;

    use super::*;

    const TOKEN: &str = "01aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";

    fn read(url: &str) -> Result<Rump, BadUrl> {
        rump(url.as_bytes())
    }

    #[test]
    fn urls_of_rfc_4467() {
        let text = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred";
        let url = read(text).expect("a URL");
        assert_eq!(
            (&*url.url.owner, url.url.mailbox.as_str()),
            ("joe", "INBOX")
        );
        assert_eq!(url.access, UrlAccess::Submit("fred".into()));
        assert_eq!((url.message.uid, url.expires_s), (Uid(20), None));
        assert_eq!(url.message.section.part, [1, 2]);
        assert_eq!(&*url.url.rump, text.as_bytes());
        let (again, token) = full(format!("{text}:internal:{TOKEN}").as_bytes()).expect("a URL");
        assert_eq!((again, token.to_string().as_str()), (url, TOKEN));
        let needs = |url| read(url).expect_err("something is missing").0;
        let url = "imap://joe@example.com/INBOX/;uid=20/;section=1.2";
        assert!(needs(url).contains(";URLAUTH="));
        let url = "imap://example.com/Shared/;uid=20/;section=1.2;urlauth=submit+fred";
        assert!(needs(url).contains("owner"));
    }

    #[test]
    fn who_may_use_it() {
        let of = |access: &str| {
            let url = format!("imap://joe@example.com/INBOX/;UID=1;URLAUTH={access}");
            read(&url).map(|url| url.access)
        };
        assert_eq!(of("authuser"), Ok(UrlAccess::AuthUser));
        assert_eq!(of("Anonymous"), Ok(UrlAccess::Anonymous));
        assert_eq!(of("USER+j%C3%B6e"), Ok(UrlAccess::User("j\u{f6}e".into())));
        assert_eq!(of("user+a%40b"), Ok(UrlAccess::User("a@b".into())));
        for wrong in [
            "",
            "user",
            "user+",
            "submit+",
            "fred",
            "user+a:b",
            "user+%ff",
            "user+%0a",
            "user+a;x=y",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn owners_servers_and_places() {
        let of = |start: &str| {
            let read = read(&format!("{start};UID=1;urlauth=authuser"))?;
            let name = read.url.mailbox.as_str().to_owned();
            Ok::<_, BadUrl>((read.url.owner.to_string(), name, read.url.uid_validity))
        };
        let is = |start: &str, owner: &str, name: &str, validity| {
            let expected = (owner.to_owned(), name.to_owned(), validity);
            assert_eq!(of(start), Ok(expected), "{start}");
        };
        is("imap://joe@example.com/a/b/", "joe", "a/b", None);
        is("IMAP://joe;AUTH=*@[::1]:1143/a/", "joe", "a", None);
        is("imap://joe%40x@h/a;UIDVALIDITY=7/", "joe@x", "a", Some(7));
        for wrong in [
            "imap://joe@example.com/",
            "imap://joe@/a/",
            "imap://@h/a/",
            "imap://;AUTH=*@h/a/",
            "imap://joe@h",
            "imaps://joe@h/a/",
            "//joe@h/a/",
            "/a/",
            "a/",
            "",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_names_no_message_has_no_use() {
        for wrong in [
            "imap://joe@h;URLAUTH=authuser",
            "imap://joe@h/;URLAUTH=authuser",
            "imap://joe@h/a;URLAUTH=authuser",
            "imap://joe@h/a/;URLAUTH=authuser",
            "imap://joe@h/a?TEXT%20x;URLAUTH=authuser",
            "imap://joe@h/a/;UID=1;URLAUTH=authuser/;PARTIAL=1",
            "imap://joe@h/a/;UID=1;URLAUTH=authuser;EXPIRE=2026-01-31T12:00:00Z",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_of_expiry() {
        let at = |date: &str| {
            let url = format!("imap://joe@h/a/;UID=1;EXPIRE={date};URLAUTH=authuser");
            read(&url).map(|url| url.expires_s).ok().flatten()
        };
        assert_eq!(at("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(at("2001-09-09t01:46:40.25z"), Some(1_000_000_000));
        assert_eq!(at("2001-09-09T03:16:40+01:30"), Some(1_000_000_000));
        assert_eq!(at("2001-09-08T18:46:40-07:00"), Some(1_000_000_000));
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2016-12-31T23:59:59Z"));
        assert!(at("2024-02-29T00:00:00Z").is_some());
        for wrong in [
            "",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01T00:00:00.Z",
            "2023-01-01 00:00:00Z",
            "2023-01-01T00:00:00+1:00",
            "2023-01-01T00:00:00+24:00",
            "+023-01-01T00:00:00Z",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn other_tokens_are_none() {
        let url = "imap://joe@h/a/;UID=1;URLAUTH=authuser";
        for wrong in [
            "",
            ":internal",
            ":internal:",
            ":internal:00",
            ":xsample:01aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd",
        ] {
            assert!(full(format!("{url}{wrong}").as_bytes()).is_err(), "{wrong}");
        }
        assert!(full(format!("{url}:INTERNAL:{TOKEN}").as_bytes()).is_ok());
    }
}
