//! Paths and mailboxes (RFC 5321 §4.1.2, RFC 6531 §3.3).

/// Longest path in bytes: RFC 5321 §4.5.3.1.3 asks for 256; folder names need more.
const PATH_BYTES_MAX: usize = 1024;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It is no path.
    Syntax(&'static str),
    /// It is not ASCII, and SMTPUTF8 was not asked for.
    NotAscii,
}

/// A forward path taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address as it was given, without angle brackets and source route.
    pub address: Box<str>,
    /// The local part up to `+`, quotes removed.
    pub user: Box<str>,
    /// What follows the first `+`: the folder asked for, levels separated by `/`.
    pub detail: Option<Box<str>>,
    /// The domain, as given.
    pub domain: Option<Box<str>>,
}

/// Takes `<path>` off the beginning; gives the path without brackets and source route, and what
/// follows.
///
/// # Errors
/// If there is no path.
pub fn split_path(text: &str) -> Result<(&str, &str), PathError> {
    // RFC 5321 has no blanks here, but clients send them.
    let text = text.trim_start_matches(' ');
    let inner = text
        .strip_prefix('<')
        .ok_or(PathError::Syntax("the address must stand in <>"))?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                if at > PATH_BYTES_MAX {
                    return Err(PathError::Syntax("the address is too long"));
                }
                return Ok((without_route(&inner[..at])?, &inner[at + 1..]));
            }
            _ => {}
        }
    }
    Err(PathError::Syntax("the closing > is missing"))
}

/// RFC 5321 §4.1.1.3: source routes are to be ignored.
fn without_route(path: &str) -> Result<&str, PathError> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    path.split_once(':')
        .map(|(_, rest)| rest)
        .ok_or(PathError::Syntax("a route ends with :"))
}

/// Checks a reverse path without brackets; it may be empty.
///
/// # Errors
/// If it is not `local@domain`, or not ASCII without `utf8`.
pub fn check_sender(path: &str, utf8: bool) -> Result<(), PathError> {
    if path.is_empty() {
        return Ok(());
    }
    split_mailbox(path, utf8).map(drop)
}

/// Takes a forward path without brackets apart. The domain may be missing (RFC 5321 §4.5.1 has
/// `<postmaster>`; LMTP clients deliver to bare user names).
///
/// # Errors
/// If it is no mailbox, or not ASCII without `utf8`.
pub fn recipient(path: &str, utf8: bool) -> Result<Recipient, PathError> {
    let (local, domain) = split_mailbox(path, utf8)?;
    let local = unquoted(local);
    let (user, detail) = match local.split_once('+') {
        Some((user, detail)) => (user, Some(detail)),
        None => (&*local, None),
    };
    if user.is_empty() {
        return Err(PathError::Syntax("the user's name is missing"));
    }
    Ok(Recipient {
        address: path.into(),
        user: user.into(),
        detail: detail.filter(|detail| !detail.is_empty()).map(Into::into),
        domain: domain.map(Into::into),
    })
}

/// Local part as written, and domain.
fn split_mailbox(path: &str, utf8: bool) -> Result<(&str, Option<&str>), PathError> {
    if !utf8 && !path.is_ascii() {
        return Err(PathError::NotAscii);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Syntax("the address contains control characters"));
    }
    let end = if path.starts_with('"') {
        quoted_end(path)?
    } else {
        dot_string_end(path)?
    };
    let (local, rest) = path.split_at(end);
    match rest.strip_prefix('@') {
        None if rest.is_empty() => Ok((local, None)),
        Some(domain) if is_domain(domain) => Ok((local, Some(domain))),
        Some(_) => Err(PathError::Syntax("the domain is not in order")),
        None => Err(PathError::Syntax("an @ must follow the local part")),
    }
}

/// Where a `Quoted-string` ends.
fn quoted_end(path: &str) -> Result<usize, PathError> {
    let mut escaped = false;
    for (at, c) in path.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(PathError::Syntax("the closing quote is missing"))
}

/// Where a `Dot-string` ends.
fn dot_string_end(path: &str) -> Result<usize, PathError> {
    let end = path.find('@').unwrap_or(path.len());
    // Folder levels: `/` is atext already.
    let atext =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    let sound = !path[..end].is_empty()
        && path[..end]
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(atext));
    if sound {
        Ok(end)
    } else {
        Err(PathError::Syntax("the local part is not in order"))
    }
}

fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[') {
        let inner = literal.strip_suffix(']').unwrap_or("");
        let dcontent = |b: u8| b.is_ascii_graphic() && !b"[]\\<>".contains(&b);
        return !inner.is_empty() && inner.bytes().all(dcontent);
    }
    domain.len() <= 255
        && domain.split('.').all(|label| {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii();
            !label.is_empty() && label.chars().all(name)
        })
}

fn unquoted(local: &str) -> Box<str> {
    let Some(inner) = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return local.into();
    };
    let mut text = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            text.push(c);
        }
    }
    text.into()
}
