//! URLs that carry the right to what they name (RFC 4467): who may use one, and what proves that it
//! was signed.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{MailboxId, MailboxName};

/// Bytes of an access key (RFC 4467 §2.2 asks for 16).
pub const KEY_BYTES: usize = 32;
/// Bytes of a token: the version, and what the key makes of the URL.
pub const TOKEN_BYTES: usize = 1 + KEY_BYTES;
/// The only version of tokens (RFC 4467 §2.4.1): HMAC-SHA-256 of the URL without its token.
const VERSION: u8 = 1;

/// The secret of a user for a mailbox, by which URLs are signed. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey([u8; KEY_BYTES]);

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

impl AccessKey {
    /// The key of these bytes, which nobody can guess.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key of a mailbox that comes of this one, which is new and for nothing else.
    pub fn for_mailbox(&self, mailbox: MailboxId) -> Self {
        Self(
            self.mac(&mailbox.0.to_be_bytes())
                .finalize()
                .into_bytes()
                .into(),
        )
    }

    /// What proves that a URL, up to where its token will stand, was signed by this key.
    pub fn token(&self, rump: &[u8]) -> Token {
        let mut token = [VERSION; TOKEN_BYTES];
        token[1..].copy_from_slice(&self.mac(rump).finalize().into_bytes());
        Token(token)
    }

    /// Whether the token is of this key and URL; takes as long for each that is not.
    pub fn proves(&self, rump: &[u8], token: &Token) -> bool {
        let is_right = self.mac(rump).verify_slice(&token.0[1..]).is_ok();
        is_right & (token.0[0] == VERSION)
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

/// What stands at the end of a signed URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// A token as it is written (RFC 5092 §11 `enc-urlauth`); none if it is none of this server's.
    pub fn read(text: &str) -> Option<Self> {
        let mut token = [0; TOKEN_BYTES];
        let (digits, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        if digits.len() != TOKEN_BYTES {
            return None;
        }
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|it| it as u8);
        for (byte, [high, low]) in token.iter_mut().zip(digits) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(token))
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who may use a URL (RFC 4467 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlAccess {
    /// Who submits messages for others. For whom is theirs to check.
    Submit(Box<str>),
    /// This user.
    User(Box<str>),
    /// Any user.
    AuthUser,
    /// Anybody.
    Anonymous,
}

/// What a URL to be signed names. Names are as the owner has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlToSign {
    /// Whose access key signs it, and by whose rights it is read.
    pub owner: Box<str>,
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Its UIDVALIDITY, if it is said.
    pub uid_validity: Option<u32>,
    /// The URL, up to where its token will stand.
    pub rump: Box<[u8]>,
}

/// A URL that was signed, or is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUrl {
    /// What was signed.
    pub url: UrlToSign,
    /// Who may use it.
    pub access: UrlAccess,
    /// Up to when, in seconds since 1970.
    pub expires_s: Option<i64>,
    /// What proves that.
    pub token: Token,
}

impl UrlToSign {
    /// What it takes in memory besides itself, in bytes.
    pub fn bytes(&self) -> usize {
        self.owner.len() + self.mailbox.as_str().len() + self.rump.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> AccessKey {
        AccessKey::new([byte; KEY_BYTES])
    }

    #[test]
    fn tokens_prove_one_url_of_one_key() {
        let token = key(1).token(b"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous");
        let proves = |key: AccessKey, rump: &[u8]| key.proves(rump, &token);
        assert!(proves(
            key(1),
            b"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous"
        ));
        assert!(!proves(
            key(1),
            b"imap://joe@example.com/INBOX/;uid=21;urlauth=anonymous"
        ));
        assert!(!proves(
            key(2),
            b"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous"
        ));
        let written = token.to_string();
        assert!(written.len() >= 32 && written.starts_with("01"));
        assert_eq!(Token::read(&written), Some(token));
        assert_eq!(Token::read(&written.to_uppercase()), Some(token));
        // Each bit counts, those of the version too.
        for at in 0..TOKEN_BYTES {
            let mut other = token;
            other.0[at] ^= 1;
            assert!(!key(1).proves(
                b"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous",
                &other
            ));
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let written = key(1).token(b"x").to_string();
        let cut = &written[..written.len() - 1];
        for wrong in [
            "",
            "0",
            cut,
            &format!("{cut}g"),
            &format!("{written}00"),
            &format!("{cut}é"),
        ] {
            assert_eq!(Token::read(wrong), None, "{wrong}");
        }
    }

    /// RFC 4231 §4.4: test case 3, whose key is shorter and is made up with zeros.
    #[test]
    fn it_is_hmac_sha_256() {
        let mut bytes = [0; KEY_BYTES];
        bytes[..20].fill(0xaa);
        let token = AccessKey::new(bytes).token(&[0xdd; 50]).to_string();
        let expected = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
        assert_eq!(token, format!("01{expected}"));
    }

    #[test]
    fn each_mailbox_has_another_key() {
        let fresh = key(1);
        assert_ne!(
            fresh.for_mailbox(MailboxId(1)),
            fresh.for_mailbox(MailboxId(2))
        );
        assert_eq!(format!("{fresh:?}"), "AccessKey(..)");
    }
}
