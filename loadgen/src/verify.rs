//! What a password costs a server: verifications by its own functions, on one core.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use admin::password::{self, Scheme, VerifiedCache, scram::Verifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::tokens::Tokens;

use crate::issuer::Issuer;
use crate::login::{self, Exchange};
use crate::measure::worked;

const USER: &str = "load0";
const PASSWORD: &str = "secret";

/// `loadgen verify`
#[derive(clap::Args)]
pub struct Args {
    /// Processor time for each way, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    milliseconds: u64,
}

/// A way to verify, by the name that tables give it.
type Way = (&'static str, Box<dyn Fn() -> bool>);

/// Lines `way,verifications a second`, behind a heading.
pub fn run(args: &Args) -> String {
    let mut text = String::from("way,verifications a second");
    for (name, verify) in ways() {
        let rate = rate(&verify, Duration::from_millis(args.milliseconds));
        text.push_str(&format!("\n{name},{rate}"));
    }
    text
}

/// How often in a second of this thread's own processor time: other work does not count.
fn rate(verify: &dyn Fn() -> bool, least: Duration) -> f64 {
    let began = worked();
    let mut count = 0u32;
    loop {
        assert!(black_box(verify()), "the password is right");
        count += 1;
        // Cheap ones aren't slowed down by the clock.
        if count.is_power_of_two() || count.is_multiple_of(64) {
            let took = worked() - began;
            if took >= least {
                return f64::from(count) / took.as_secs_f64();
            }
        }
    }
}

fn ways() -> Vec<Way> {
    let by_hash = |scheme: Scheme| -> Box<dyn Fn() -> bool> {
        let stored = password::hash(scheme, PASSWORD.as_bytes()).expect("it can be hashed");
        Box::new(move || password::verify(&stored, PASSWORD.as_bytes()))
    };
    let cache = VerifiedCache::new(1);
    cache.remember(USER, "a hash", PASSWORD.as_bytes());
    let verifier = Verifier::new(PASSWORD.as_bytes());
    vec![
        (
            "remembered",
            Box::new(move || cache.knows(USER, "a hash", PASSWORD.as_bytes())),
        ),
        ("SCRAM-SHA-256", scram()),
        ("{SSHA256}", by_hash(Scheme::Ssha256)),
        (
            "by the verifier",
            Box::new(move || verifier.is_of(PASSWORD.as_bytes())),
        ),
        ("OAUTHBEARER", bearer()),
        ("{ARGON2ID}", by_hash(Scheme::Argon2id)),
    ]
}

/// A token that is right.
fn bearer() -> Box<dyn Fn() -> bool> {
    let issuer = Issuer::new(PASSWORD);
    let (tokens, token) = (tokens(&issuer), issuer.token(USER));
    Box::new(move || tokens.check(token.as_bytes()).is_ok())
}

/// What a server checks an issuer's tokens by.
pub(crate) fn tokens(issuer: &Issuer) -> Tokens {
    let folder = tempfile::tempdir().expect("a folder for a moment");
    let base = admin::Base::new(folder.path());
    let write = |path: PathBuf, text: &str| fs::write(path, text).expect("it can be written");
    fs::create_dir(folder.path().join("config")).expect("it is empty");
    write(base.msg_conf(), "oauth.keys = config/issuer.pem\n");
    write(
        folder.path().join("config/issuer.pem"),
        &issuer.public_key(),
    );
    let config = admin::Config::load(&base).expect("the configuration is right");
    let tokens = Tokens::load(&config).expect("the key is right");
    tokens.expect("there is a key")
}

/// A proof of SCRAM that is right.
fn scram() -> Box<dyn Fn() -> bool> {
    let entry = login::verifier(USER, PASSWORD);
    let (_, text) = password::split(&entry).expect("it has a scheme");
    let verifier = Verifier::parse(text).expect("it is one");
    let mut exchange = Exchange::new(login::remembered(USER, PASSWORD), USER, "a client's nonce");
    let challenge = "r=a client's nonce and the server's,s=c2FsdA==,i=10000";
    let last = exchange.answer(STANDARD.encode(challenge).as_bytes());
    let last = STANDARD.decode(last.expect("an answer")).expect("base64");
    let last = String::from_utf8(last).expect("text");
    let (without_proof, proof) = last.split_once(",p=").expect("a proof");
    let proof = STANDARD.decode(proof).expect("base64");
    let message = format!("{},{challenge},{without_proof}", exchange.first);
    Box::new(move || verifier.check(message.as_bytes(), &proof).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_verifies() {
        let text = run(&Args { milliseconds: 1 });
        let rates: Vec<f64> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.rsplit_once(',')?.1.parse().ok())
            .collect();
        assert_eq!(rates.len(), 6, "{text}");
        assert!(rates.iter().all(|rate| *rate > 1.0), "{text}");
    }
}
