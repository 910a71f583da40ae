//! Values as bytes on the wire, appended to an output (RFC 3501 §9).

use std::borrow::Cow;

use mail::{EmailId, Flags, InternalDate, MailboxName, ObjectId, Rights, SystemFlag, ThreadId};

use super::language::Language;
use super::lexer::is_atom_char;
use super::name_form::NameForm;

/// FLAGS and PERMANENTFLAGS of a mailbox that has these keywords, for who has these rights
/// (RFC 4314 §5.1.1) and reads this language.
pub fn keyword_lines(keywords: &Flags, rights: Rights, language: Language) -> String {
    const SYSTEM: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    let keywords: String = keywords
        .keywords()
        .iter()
        .map(|keyword| format!(" {keyword}"))
        .collect();
    let bits = rights.system_bits();
    let changeable = |flag: &&str| {
        let mut known = SystemFlag::ALL.into_iter();
        known.any(|it| it.name() == *flag && bits & it as u8 != 0)
    };
    let system: Vec<&str> = SYSTEM.split(' ').filter(changeable).collect();
    let mut permanent = system.join(" ");
    if rights.contains(Rights::WRITE) {
        permanent.push_str(&format!("{keywords} \\*"));
    }
    let line = format!("* OK [PERMANENTFLAGS ({permanent})] Flags that are kept");
    let line = language.line(&line);
    format!("* FLAGS ({SYSTEM}{keywords})\r\n{line}\r\n")
}

/// How URLs are signed (RFC 4467 §9).
pub const MECHANISMS: &str = "* OK [URLMECH INTERNAL] How URLs are signed";

/// `quoted` if that can carry the bytes, else a literal.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    quoted_or_literal(out, bytes, bytes.iter().all(|&b| (0x20..0x7f).contains(&b)));
}

fn quoted_or_literal(out: &mut Vec<u8>, bytes: &[u8], quotable: bool) {
    if quotable && bytes.len() <= 1024 {
        out.push(b'"');
        for &byte in bytes {
            if byte == b'"' || byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        literal(out, bytes);
    }
}

/// A literal.
pub fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(&char8(bytes));
}

/// Octets as they may stand in a literal (RFC 3501 §9 `CHAR8`): NUL may not, so each becomes a
/// blank. So sizes and partial fetches fit whatever is asked for, and however large it is.
pub fn char8(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&0) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(
        bytes
            .iter()
            .map(|&b| if b == 0 { b' ' } else { b })
            .collect(),
    )
}

/// `nstring`
pub fn nstring(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => string(out, bytes),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `astring`: an atom if it can be one.
pub fn astring(out: &mut Vec<u8>, bytes: &[u8]) {
    let is_nil = bytes.eq_ignore_ascii_case(b"NIL");
    if !bytes.is_empty() && bytes.iter().all(|&b| is_atom_char(b)) && !is_nil {
        out.extend_from_slice(bytes);
    } else {
        string(out, bytes);
    }
}

/// A mailbox name.
pub fn mailbox(out: &mut Vec<u8>, name: &MailboxName, form: NameForm) {
    match form {
        form if form.is_utf8() && !name.as_str().is_ascii() => {
            name_string(out, name.as_str(), form);
        }
        _ => astring(out, form.encode(name.as_str()).as_bytes()),
    }
}

/// A mailbox name, or the beginning of one, as a string.
///
/// ```text
/// quoted       =/ DQUOTE *uQUOTED-CHAR DQUOTE
/// uQUOTED-CHAR = QUOTED-CHAR / UTF8-2 / UTF8-3 / UTF8-4      ; RFC 9755 §3
/// ```
pub fn name_string(out: &mut Vec<u8>, name: &str, form: NameForm) {
    match form {
        NameForm::Utf7 => string(out, form.encode(name).as_bytes()),
        NameForm::Utf8 | NameForm::Utf8Alone => {
            quoted_or_literal(out, name.as_bytes(), !name.chars().any(char::is_control));
        }
    }
}

/// LIST of a name, and of what it was before (RFC 9051 §6.3.9.7).
pub fn list_line(
    attributes: &[&str],
    name: &MailboxName,
    was: Option<&MailboxName>,
    form: NameForm,
) -> Vec<u8> {
    let mut line = format!("* LIST ({}) \"/\" ", attributes.join(" ")).into_bytes();
    mailbox(&mut line, name, form);
    if let Some(was) = was {
        line.extend_from_slice(b" (\"OLDNAME\" (");
        mailbox(&mut line, was, form);
        line.extend_from_slice(b"))");
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// The identifier of a mailbox (RFC 8474 §4): the same for as long as it exists.
pub fn mailbox_id(id: ObjectId) -> String {
    format!("F{id}")
}

/// The identifier of a message's content (RFC 8474 §5.1).
pub fn email_id(id: EmailId) -> String {
    format!("M{id}")
}

/// The identifier of a thread (RFC 8474 §5.2).
pub fn thread_id(id: ThreadId) -> String {
    format!("T{:016x}", id.0)
}

/// A parenthesised flag list; `recent` adds `\Recent`.
pub fn flags(out: &mut Vec<u8>, flags: &Flags, recent: bool) {
    out.push(b'(');
    let start = out.len();
    let mut word = |text: &str| {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(text.as_bytes());
    };
    for flag in SystemFlag::ALL {
        if flags.has(flag) {
            word(flag.name());
        }
    }
    flags.keywords().iter().for_each(|keyword| word(keyword));
    if recent {
        word("\\Recent");
    }
    out.push(b')');
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The number of a month, 1..=12, from its English abbreviation.
pub fn month(name: &[u8]) -> Option<u32> {
    let at = MONTHS
        .iter()
        .position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
    Some(at as u32 + 1)
}

/// A day as the guide's banner has it: `Feb 7 2006`.
pub fn day(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{} {day} {year}", MONTHS[month as usize - 1])
}

/// `date-time`, quoted: `"17-Jul-1996 02:44:25 -0700"`.
pub fn internal_date(out: &mut Vec<u8>, date: InternalDate) {
    let local = date.unix_s + i64::from(date.zone_min) * 60;
    let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let sign = if date.zone_min < 0 { '-' } else { '+' };
    let zone = date.zone_min.unsigned_abs();
    let text = format!(
        "\"{day:2}-{}-{year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}\"",
        MONTHS[month as usize - 1],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        zone / 60,
        zone % 60,
    );
    out.extend_from_slice(text.as_bytes());
}

/// Days of a month (1..=12).
pub fn days_in_month(year: i64, month: u32) -> u32 {
    let (next_year, next) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    (days_from_civil(next_year, next, 1) - days_from_civil(year, month, 1)) as u32
}

/// Year, month (1..=12) and day of a day number, in the proleptic Gregorian calendar.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day number of a date; days beyond a month's end run into the next.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Ascending numbers as a compact sequence set: `1:3,5`.
pub fn number_set(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    let mut run: Option<(u32, u32)> = None;
    let start = out.len();
    let write = |out: &mut Vec<u8>, (low, high): (u32, u32)| {
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(low.to_string().as_bytes());
        if high > low {
            out.extend_from_slice(format!(":{high}").as_bytes());
        }
    };
    for number in numbers {
        run = match run {
            Some((low, high)) if number == high.saturating_add(1) => Some((low, number)),
            Some(done) => {
                write(out, done);
                Some((number, number))
            }
            None => Some((number, number)),
        };
    }
    if let Some(done) = run {
        write(out, done);
    }
}

/// How an answer in the form of ESEARCH begins (RFC 4466 §2.6.2).
pub(super) fn esearch(tag: &str, uid: bool) -> String {
    let uid = if uid { " UID" } else { "" };
    format!("* ESEARCH (TAG \"{tag}\"){uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn dates() {
        let date = InternalDate {
            unix_s: 837_596_665,
            zone_min: -420,
        };
        assert_eq!(
            text(|out| internal_date(out, date)),
            "\"17-Jul-1996 02:44:25 -0700\""
        );
        assert_eq!(day(13_186), "Feb 7 2006");
        for days in [-719_468, -1, 0, 59, 60, 11_016, 20_000, 2_932_896] {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn sets_are_compact() {
        assert_eq!(text(|out| number_set(out, [1, 2, 3, 5, 7, 8])), "1:3,5,7:8");
        assert_eq!(text(|out| number_set(out, [])), "");
    }

    #[test]
    fn strings_choose_their_form() {
        assert_eq!(text(|out| astring(out, b"INBOX")), "INBOX");
        assert_eq!(text(|out| astring(out, b"a b")), "\"a b\"");
        assert_eq!(text(|out| astring(out, b"")), "\"\"");
        assert_eq!(text(|out| astring(out, b"nil")), "\"nil\"");
        assert_eq!(text(|out| string(out, b"a\"b")), "\"a\\\"b\"");
        assert_eq!(text(|out| string(out, "ü".as_bytes())), "{2}\r\nü");
        let name = MailboxName::new("ü\"&");
        assert_eq!(
            text(|out| mailbox(out, &name, NameForm::Utf8)),
            "\"ü\\\"&\""
        );
        assert_eq!(
            text(|out| mailbox(out, &name, NameForm::Utf7)),
            "\"&APw-\\\"&-\""
        );
        let plain = MailboxName::new("a&b");
        assert_eq!(text(|out| mailbox(out, &plain, NameForm::Utf8)), "a&b");
    }
}
