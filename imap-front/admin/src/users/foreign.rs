//! Users as other programs keep them: Dovecot's passwd-file and `/etc/shadow`.

use zeroize::Zeroizing;

use super::entry::{Limit, Quota};
use crate::password::Scheme;

/// A user of another program's file.
pub(super) struct Foreign {
    pub name: String,
    /// `{SCHEME}hash`, or a password in clear.
    pub stored: Zeroizing<String>,
    /// Whether `stored` is a password in clear.
    pub clear: bool,
    pub locked: bool,
    pub quota: Quota,
}

/// A line of Dovecot's passwd-file: `user:{SCHEME}hash:uid:gid:gecos:home:shell:extra`. None if
/// nobody can log in by it.
///
/// # Errors
/// What can't be taken, with the user's name.
pub(super) fn dovecot(line: &str) -> Result<Option<Foreign>, String> {
    let mut parts = line.splitn(8, ':');
    let name = parts.next().unwrap_or_default();
    let password = parts.next().ok_or("the line must be user:{SCHEME}hash")?;
    let extra = parts.nth(5).unwrap_or_default();
    let of = |reason: String| format!("user {name}: {reason}");
    let (stored, clear) = match password.strip_prefix('{').and_then(|it| it.split_once('}')) {
        None => (crypt(password).map_err(of)?, false),
        Some((scheme, text)) => match &*scheme.to_ascii_uppercase() {
            "PLAIN" | "CLEAR" | "CLEARTEXT" => (text.to_owned(), true),
            "CRYPT" => (crypt(text).map_err(of)?, false),
            _ => (password.to_owned(), false),
        },
    };
    let mut foreign = Foreign {
        name: name.to_owned(),
        stored: Zeroizing::new(stored),
        clear,
        locked: false,
        quota: Quota::default(),
    };
    for word in extra.split_whitespace() {
        let (field, value) = word.split_once('=').unwrap_or((word, ""));
        match field.strip_prefix("userdb_").unwrap_or(field) {
            "nologin" => foreign.locked = true,
            "quota_rule" => quota_rule(value, &mut foreign.quota).map_err(of)?,
            "quota_storage_size" => foreign.quota.bytes = amount(value, 1).map_err(of)?,
            "quota_message_count" => foreign.quota.messages = amount(value, 1).map_err(of)?,
            _ => {}
        }
    }
    Ok(Some(foreign))
}

/// `*:storage=1G:messages=1000`; rules of single folders are not kept here.
fn quota_rule(rule: &str, quota: &mut Quota) -> Result<(), String> {
    let Some(limits) = rule.strip_prefix("*:") else {
        return Err(format!(
            "a quota of a folder of its own, {rule}, can't be kept"
        ));
    };
    for limit in limits.split(':') {
        match limit.split_once('=') {
            Some(("storage", value)) => quota.bytes = amount(value, 1024)?,
            Some(("bytes", value)) => quota.bytes = amount(value, 1)?,
            Some(("messages", value)) => quota.messages = amount(value, 1)?,
            _ => return Err(format!("the quota {limit} is not understood")),
        }
    }
    Ok(())
}

/// A number with a unit, or of `unit` bytes each; 0 and `unlimited` are no limit.
fn amount(text: &str, unit: u64) -> Result<Option<Limit>, String> {
    if matches!(text, "0" | "unlimited") {
        return Ok(Some(Limit::None));
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &*text[digits.len()..].to_ascii_uppercase() {
        "" => unit,
        "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => 0,
    };
    let number = digits.parse::<u64>().ok();
    let amount = number.and_then(|number| number.checked_mul(unit));
    match amount.filter(|amount| *amount > 0) {
        Some(amount) => Ok(Some(Limit::Most(amount))),
        None => Err(format!("{text} is no quota")),
    }
}

/// A line of `/etc/shadow`. None for an account without a password, as most of a system's are.
///
/// # Errors
/// What can't be taken, with the user's name.
pub(super) fn shadow(line: &str) -> Result<Option<Foreign>, String> {
    let mut parts = line.split(':');
    let name = parts.next().unwrap_or_default();
    let password = parts.next().ok_or("the line must be name:hash:…")?;
    let hash = password.trim_start_matches('!');
    if matches!(hash, "*" | "x") || (hash.is_empty() && !password.is_empty()) {
        return Ok(None);
    }
    if password.is_empty() {
        return Err(format!("user {name}: the password is empty"));
    }
    let stored = crypt(hash).map_err(|reason| format!("user {name}: {reason}"))?;
    Ok(Some(Foreign {
        name: name.to_owned(),
        stored: Zeroizing::new(stored),
        clear: false,
        locked: hash != password,
        quota: Quota::default(),
    }))
}

/// A hash as crypt(3) writes it, with its scheme.
fn crypt(hash: &str) -> Result<String, String> {
    if let Some(scheme) = Scheme::of_crypt(hash) {
        return Ok(format!("{{{}}}{hash}", scheme.name()));
    }
    let kind = match hash.strip_prefix('$').and_then(|it| it.split_once('$')) {
        Some(("1", _)) => "MD5-CRYPT ($1$)".to_owned(),
        Some(("7", _)) => "scrypt ($7$)".to_owned(),
        Some(("gy", _)) => "gost-yescrypt ($gy$)".to_owned(),
        Some((id, _)) => format!("${id}$"),
        None if hash.len() == 13 => "DES-CRYPT".to_owned(),
        None => "a hash without a scheme".to_owned(),
    };
    Err(format!(
        "{kind} can't be verified; leave the user out and add it with a new password"
    ))
}
