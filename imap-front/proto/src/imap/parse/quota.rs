//! Commands about quotas (RFC 9208 §7).

use crate::imap::ast::Command;
use crate::imap::lexer::{Fault, Lexer, Parsed};
use mail::QuotaLimits;

/// Units of STORAGE in bytes (RFC 9208 §5.1).
const STORAGE_UNIT: u64 = 1024;

/// ```text
/// getquota     = "GETQUOTA" SP quota-root-name
/// getquotaroot = "GETQUOTAROOT" SP mailbox
/// setquota     = "SETQUOTA" SP quota-root-name SP setquota-list
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "GETQUOTA" => {
            lexer.space()?;
            Command::GetQuota(lexer.astring()?.into_owned())
        }
        "GETQUOTAROOT" => {
            lexer.space()?;
            Command::GetQuotaRoot(super::mailbox::name(lexer)?)
        }
        "SETQUOTA" => {
            lexer.space()?;
            let root = lexer.astring()?.into_owned();
            lexer.space()?;
            let mut limits = QuotaLimits::default();
            lexer.list(true, |lexer| limit(lexer, &mut limits))?;
            Command::SetQuota { root, limits }
        }
        _ => return Ok(None),
    }))
}

/// ```text
/// setquota-resource = resource-name SP resource-limit
/// resource-limit    = number64
/// ```
fn limit(lexer: &mut Lexer<'_>, limits: &mut QuotaLimits) -> Parsed<()> {
    const EXPECTED: &str = "STORAGE, MESSAGE or MAILBOX";
    let start = lexer.clone();
    let resource = lexer.atom("a resource")?.to_ascii_uppercase();
    lexer.space()?;
    let most = lexer.number64()?;
    match resource.as_str() {
        "STORAGE" => limits.bytes = Some(most.saturating_mul(STORAGE_UNIT)),
        "MESSAGE" => limits.messages = Some(most),
        "MAILBOX" => limits.mailboxes = Some(most),
        // RFC 9208 §4.1.3: that can't be set.
        _ => return start.fail_as(Fault::Name, EXPECTED),
    }
    Ok(())
}
