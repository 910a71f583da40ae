//! How clients say who they are.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::issuer::Issuer;
use crate::measure::now_ns;
use crate::plan;

/// Bytes of SHA-256.
const KEY_BYTES: usize = 32;
/// What a verifier says of itself; a client that remembers its keys need not compute any of them.
const ITERATIONS: u32 = 10_000;

type Key = [u8; KEY_BYTES];

/// How to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Auth {
    /// The command LOGIN.
    #[default]
    Login,
    /// AUTHENTICATE PLAIN, in one line.
    Plain,
    /// AUTHENTICATE SCRAM-SHA-256, as clients that remember their salted passwords: they are those
    /// of `loadgen users --scheme keys`.
    Scram,
    /// AUTHENTICATE OAUTHBEARER, in one line, with a token of `loadgen issuer`.
    Oauthbearer,
}

/// Who may log in, and how: all users of a pattern have one password.
#[derive(Debug)]
pub struct Credentials {
    /// User names, with `%d`.
    pub users: String,
    /// Their password.
    pub password: String,
    /// How they log in.
    pub auth: Auth,
    /// They begin TLS before that.
    pub starttls: bool,
    /// They send SELECT and IDLE behind the last line of their login, and wait for no answer
    /// before.
    pub pipelined: bool,
    /// Mailboxes that each watches by NOTIFY, INBOX among them, in the place of one in IDLE; 0 is
    /// none.
    pub notify: u32,
    /// Who issues their tokens, once one is needed.
    pub issuer: OnceLock<Issuer>,
}

impl Credentials {
    /// Users who log in by LOGIN, without a word of TLS.
    pub fn new(users: &str, password: &str) -> Self {
        Self {
            users: users.to_owned(),
            password: password.to_owned(),
            auth: Auth::Login,
            starttls: false,
            pipelined: false,
            notify: 0,
            issuer: OnceLock::new(),
        }
    }

    /// What user `number` says first, behind its tag, and the exchange that it begins, if any.
    pub fn begin(&self, number: u32) -> (String, Option<Box<Exchange>>) {
        let user = plan::user(&self.users, number);
        let password = &self.password;
        match self.auth {
            Auth::Login => (format!("LOGIN {user} {password}"), None),
            Auth::Plain => {
                let initial = STANDARD.encode(format!("\0{user}\0{password}"));
                (format!("AUTHENTICATE PLAIN {initial}"), None)
            }
            Auth::Scram => {
                // Whom nobody else can take for another login; it need not be a secret.
                let nonce = format!("{number:x}.{:x}", now_ns());
                let exchange = Exchange::new(remembered(&user, password), &user, &nonce);
                let initial = STANDARD.encode(format!("n,,{}", exchange.first));
                let command = format!("AUTHENTICATE SCRAM-SHA-256 {initial}");
                (command, Some(Box::new(exchange)))
            }
            Auth::Oauthbearer => {
                let issuer = self.issuer.get_or_init(|| Issuer::new(password));
                // RFC 7628 §3.1
                let token = issuer.token(&user);
                let initial = STANDARD.encode(format!("n,,\x01auth=Bearer {token}\x01\x01"));
                (format!("AUTHENTICATE OAUTHBEARER {initial}"), None)
            }
        }
    }
}

/// The salted password that a user's clients remember (RFC 5802 §3). It is of no password: what
/// stands for one here is where it is derived from.
pub fn remembered(user: &str, seed: &str) -> Key {
    let mut digest = Sha256::new();
    digest.update(b"remembered\0");
    digest.update(seed);
    digest.update(b"\0");
    digest.update(user);
    digest.finalize().into()
}

/// What a server verifies such a user by, as `msguser import` takes it.
pub fn verifier(user: &str, seed: &str) -> String {
    let salted = remembered(user, seed);
    let stored: Key = Sha256::digest(mac(&salted, b"Client Key")).into();
    let server = mac(&salted, b"Server Key");
    let salt = &Sha256::digest(user)[..16];
    let [salt, stored, server] = [salt, &stored, &server].map(|bytes| STANDARD.encode(bytes));
    format!("{{SCRAM-SHA-256}}{ITERATIONS},{salt},{stored},{server}")
}

/// A client's side of SCRAM-SHA-256 (RFC 5802 §5), without channel binding.
#[derive(Debug)]
pub struct Exchange {
    salted: Key,
    /// `client-first-message-bare`
    pub(crate) first: String,
    nonce: String,
    /// The server's, which is to come; none before the proof was sent.
    signature: Option<Key>,
}

impl Exchange {
    pub(crate) fn new(salted: Key, user: &str, nonce: &str) -> Self {
        Self {
            salted,
            first: format!("n={user},r={nonce}"),
            nonce: nonce.to_owned(),
            signature: None,
        }
    }

    /// What the server is to prove itself by.
    #[cfg(test)]
    pub(crate) fn signature(&self) -> Option<Key> {
        self.signature
    }

    /// The answer to a line that the server goes on with, in base64.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<String, &'static str> {
        let challenge = STANDARD.decode(challenge).map_err(|_| "no base64")?;
        let challenge = String::from_utf8(challenge).map_err(|_| "no text")?;
        if let Some(signature) = self.signature {
            let verified = challenge.strip_prefix("v=") == Some(&STANDARD.encode(signature));
            return match verified {
                true => Ok(String::new()),
                false => Err("the server does not prove that it knows the user"),
            };
        }
        let nonce = challenge
            .split(',')
            .next()
            .and_then(|it| it.strip_prefix("r="));
        let nonce = nonce.filter(|it| it.starts_with(&self.nonce) && it.len() > self.nonce.len());
        let nonce = nonce.ok_or("another nonce")?;
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.first);
        let client_key = mac(&self.salted, b"Client Key");
        let mut proof = mac(&Sha256::digest(client_key), message.as_bytes());
        for (byte, key) in proof.iter_mut().zip(client_key) {
            *byte ^= key;
        }
        let server_key = mac(&self.salted, b"Server Key");
        self.signature = Some(mac(&server_key, message.as_bytes()));
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok(STANDARD.encode(last))
    }
}

/// HMAC-SHA-256.
fn mac(key: &[u8], text: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3, with the salted password of `pencil`.
    #[test]
    fn the_example_of_rfc_7677() {
        let salted = "xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=";
        let salted = STANDARD.decode(salted).expect("base64");
        let salted = salted.try_into().expect("as long as SHA-256");
        let mut exchange = Exchange::new(salted, "user", "rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = exchange.answer(STANDARD.encode(first).as_bytes());
        let last = STANDARD.decode(answer.expect("an answer")).expect("base64");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8_lossy(&last), expected);
        let signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        let end = exchange.answer(STANDARD.encode(signature).as_bytes());
        assert_eq!(end.as_deref(), Ok(""));
        assert!(exchange.answer(b"dj0=").is_err());
    }

    #[test]
    fn a_server_that_answers_another_client_is_met() {
        let mut exchange = Exchange::new([1; 32], "user", "mine");
        for wrong in ["r=yours,s=eA==,i=4096", "r=mine,s=eA==,i=4096", "e=no"] {
            let answer = exchange.answer(STANDARD.encode(wrong).as_bytes());
            assert_eq!(answer, Err("another nonce"), "{wrong}");
        }
    }

    #[test]
    fn each_user_has_keys_of_its_own() {
        assert_ne!(verifier("u1", "secret"), verifier("u2", "secret"));
        assert_ne!(verifier("u1", "secret"), verifier("u1", "other"));
    }
}
