//! Bearer tokens (RFC 6750) that are JWTs (RFC 7519): by whom they were signed, for whom, and whom
//! they name. The keys lie in a file; nobody is asked over the network.
//!
//! A check takes some tens of microseconds, so control planes do it themselves. A token without
//! `kid` is tried with each key of its kind, of which there are 32 at most.

mod keys;

use std::fmt;
use std::path::PathBuf;

use admin::Config;
use arc_swap::ArcSwap;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use proto::imap::TokenHints;
use serde_json::{Map, Value};

use keys::{Key, KeysError};

/// Longest name or key id that is looked at or logged, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// Why tokens can't be checked as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("oauth.keys: {path}: {cause}")]
pub struct TokensError {
    path: String,
    cause: KeysError,
}

/// Checks tokens. Shared by all control planes.
pub struct Tokens {
    path: PathBuf,
    keys: ArcSwap<Vec<Key>>,
    rules: Rules,
}

/// What a token must say besides its signature.
struct Rules {
    /// One of these has issued it; any may if there is none.
    issuers: Vec<String>,
    /// It is for one of these; it is for nobody in particular if there is none.
    audiences: Vec<String>,
    scopes: Vec<String>,
    /// The claim that names the user.
    claim: String,
    leeway_s: u64,
}

/// Why a token is not taken: words for the log, in which nothing of the token stands unquoted.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is no JWT, or one that says what is not understood here.
    Malformed(&'static str),
    /// No key of the file has its `kid`.
    UnknownKey(String),
    /// None of the keys that it may be signed by is of the kind that its `alg` needs.
    Algorithm(Algorithm),
    /// It was not signed by any of the keys, or was changed since.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// Somebody else has issued it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It lacks a claim that is needed, or that is of another type than it should be.
    Claim(String),
    /// It lacks a scope that is needed.
    Scope(String),
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "its token is malformed: {why}"),
            Self::UnknownKey(kid) => write!(f, "oauth.keys has no key {kid:?} of its token"),
            Self::Algorithm(name) => write!(f, "oauth.keys has no key for its token's {name:?}"),
            Self::Signature => write!(f, "its token has a wrong signature"),
            Self::Expired => write!(f, "its token has expired"),
            Self::Early => write!(f, "its token is not valid yet"),
            Self::Issuer => write!(f, "its token was not issued by oauth.issuer"),
            Self::Audience => write!(f, "its token is not for oauth.audience"),
            Self::Claim(claim) => write!(f, "its token lacks the claim {claim:?}"),
            Self::Scope(scope) => write!(f, "its token lacks the scope {scope:?}"),
        }
    }
}

impl Tokens {
    /// As configured; none if no file is named.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(config: &Config) -> Result<Option<Self>, TokensError> {
        let Some(path) = config.path("oauth.keys") else {
            return Ok(None);
        };
        let keys = read(&path)?;
        let words = |option| {
            let words = config.value(option).split_whitespace();
            words.map(str::to_owned).collect()
        };
        Ok(Some(Self {
            path,
            keys: ArcSwap::from_pointee(keys),
            rules: Rules {
                issuers: words("oauth.issuer"),
                audiences: words("oauth.audience"),
                scopes: words("oauth.scope"),
                claim: config.value("oauth.userclaim").into(),
                leeway_s: config.count("oauth.leeway"),
            },
        }))
    }

    /// Reads the keys again: all are taken or, on an error, none.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn reload(&self) -> Result<(), TokensError> {
        self.keys.store(read(&self.path)?.into());
        Ok(())
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.keys.load().len()
    }

    /// The name of the user whose token it is.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn check(&self, token: &[u8]) -> Result<Box<str>, TokenFault> {
        let header = decode_header(token).map_err(malformed)?;
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: nothing that it may name is known here.
            return Err(TokenFault::Malformed("its header says crit"));
        }
        let validation = self.rules.validation(header.alg);
        let keys = self.keys.load();
        let mut fault = Self::unfit(&keys, &header);
        for key in keys.iter().filter(|key| key.may_have_signed(&header)) {
            fault = match decode::<Map<String, Value>>(token, key.decoding(), &validation) {
                Ok(token) => return self.rules.user(&token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => TokenFault::Signature,
                    _ => return Err(fault_of(error)),
                },
            };
        }
        Err(fault)
    }

    /// What is wrong if no key may have signed it.
    fn unfit(keys: &[Key], header: &Header) -> TokenFault {
        match &header.kid {
            Some(kid) if !keys.iter().any(|key| key.is_called(kid)) => {
                TokenFault::UnknownKey(kid.chars().take(TEXT_BYTES_MAX).collect())
            }
            _ => TokenFault::Algorithm(header.alg),
        }
    }
}

impl Rules {
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway_s;
        validation.validate_nbf = true;
        // At the second that `exp` names it is over (RFC 7519 §4.1.4).
        validation.reject_tokens_expiring_in_less_than = 1;
        let mut needed = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            needed.push("iss");
        }
        // Without one of ours, a token that is for somebody is not for us (RFC 7519 §4.1.3).
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            needed.push("aud");
        }
        validation.set_required_spec_claims(&needed);
        validation
    }

    /// What the library has left to look at.
    fn user(&self, claims: &Map<String, Value>) -> Result<Box<str>, TokenFault> {
        let is_for_somebody = claims.get("aud").is_some_and(|aud| !aud.is_null());
        if self.audiences.is_empty() && is_for_somebody {
            return Err(TokenFault::Audience);
        }
        let is_one = claims.get("iss").is_some_and(Value::is_string);
        if !self.issuers.is_empty() && !is_one {
            return Err(TokenFault::Issuer);
        }
        let has: Vec<&str> = ["scope", "scp"]
            .iter()
            .filter_map(|name| claims.get(*name))
            .flat_map(scopes)
            .collect();
        let lacks = |scope: &&String| !has.contains(&scope.as_str());
        if let Some(scope) = self.scopes.iter().find(lacks) {
            return Err(TokenFault::Scope(scope.clone()));
        }
        let name = claims.get(&self.claim).and_then(Value::as_str);
        let is_name = |name: &&str| !name.is_empty() && name.len() <= TEXT_BYTES_MAX;
        let name = name.filter(is_name);
        name.map_or_else(
            || Err(TokenFault::Claim(self.claim.clone())),
            |it| Ok(it.into()),
        )
    }
}

/// A text with blanks between them (RFC 8693 §4.2), or, as some issuers have it, a list of texts.
fn scopes(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

fn read(path: &std::path::Path) -> Result<Vec<Key>, TokensError> {
    keys::read(path).map_err(|cause| TokensError {
        path: path.display().to_string(),
        cause,
    })
}

/// What the library says of it may have the token's own text in it, whatever that is.
fn malformed(error: Error) -> TokenFault {
    TokenFault::Malformed(match error.kind() {
        ErrorKind::Base64(_) => "a part is not base64url",
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => "a part is not JSON as it should be, or its alg",
        _ => "it is no JWT",
    })
}

fn fault_of(error: Error) -> TokenFault {
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::Early,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            TokenFault::Claim(claim.clone())
        }
        _ => malformed(error),
    }
}

/// What clients are told; none if tokens are not taken.
pub fn hints(config: &Config) -> Option<TokenHints> {
    config.path("oauth.keys").map(|_| TokenHints {
        scope: config.value("oauth.scope").into(),
        configuration: config.value("oauth.configuration").into(),
    })
}

/// A line for who asks; none if no file is named.
pub fn described(config: &Config) -> Option<String> {
    match Tokens::load(config) {
        Ok(None) => None,
        Ok(Some(tokens)) => {
            let path = tokens.path.display();
            Some(format!("tokens: {path}: {} keys: good", tokens.count()))
        }
        Err(error) => Some(format!("tokens: {error}")),
    }
}

#[cfg(test)]
mod tests;
