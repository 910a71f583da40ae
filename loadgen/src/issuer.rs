//! An issuer of bearer tokens (JWT, RFC 7519) for loads: its key comes from their password.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// When tokens end, in seconds since 1970: no load lasts that long.
const EXPIRES: u64 = 4_102_444_800;
/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// What signs tokens by Ed25519 (RFC 8037). The key pair is made once: libraries for tokens make it
/// anew for each, which would be most of a client's work.
#[derive(Debug)]
pub struct Issuer {
    pair: Ed25519KeyPair,
    /// In base64, and a dot.
    header: String,
}

impl Issuer {
    /// The issuer of a load whose users have this password.
    ///
    /// # Panics
    /// Never: any 32 bytes are a key of Ed25519.
    pub fn new(password: &str) -> Self {
        let seed = Sha256::new()
            .chain_update(b"issuer\0")
            .chain_update(password);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed.finalize()).expect("any 32 bytes");
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"EdDSA","typ":"JWT"}"#) + ".";
        Self { pair, header }
    }

    /// A user's token. Names of loads need no escapes in JSON.
    pub fn token(&self, user: &str) -> String {
        let claims = format!(r#"{{"sub":"{user}","exp":{EXPIRES}}}"#);
        let mut token = self.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The public key in PEM, as the server's `oauth.keys` wants it.
    ///
    /// # Panics
    /// Never: the key is whole.
    pub fn public_key(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("it is whole");
        let text = STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(PEM_LINE) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_takes_tokens_and_those_of_nobody_else() {
        let issuer = Issuer::new("secret");
        let checks = crate::verify::tokens(&issuer);
        let user = checks.check(issuer.token("load7").as_bytes());
        assert_eq!(user.as_deref(), Ok("load7"));
        let other = Issuer::new("other").token("load7");
        assert!(checks.check(other.as_bytes()).is_err());
    }
}
