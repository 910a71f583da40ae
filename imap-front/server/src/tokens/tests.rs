//! With tokens that the library makes; those of others are in `tests/sockets/tokens.rs`.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, encode, get_current_timestamp};
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

struct Ec {
    private: EncodingKey,
    pem: String,
    jwk: Value,
}

impl Ec {
    fn new(kid: &str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let pem = STANDARD.encode(der.as_ref());
        let point = pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        Self {
            private: EncodingKey::from_ec_der(document.as_ref()),
            pem: format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n"),
            jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig"}),
        }
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        encode(&header, claims, &self.private).unwrap()
    }
}

fn secret() -> Value {
    json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "kid": "s"})
}

/// A folder with a file of keys, and what checks by it.
fn tokens(keys: &str, options: &str) -> Result<(tempfile::TempDir, Tokens), TokensError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let base = admin::Base::new(folder.path());
    let text = format!("oauth.keys = config/keys\n{options}");
    std::fs::write(base.msg_conf(), text).unwrap();
    std::fs::write(folder.path().join("config/keys"), keys).unwrap();
    let config = Config::load(&base).unwrap();
    Tokens::load(&config).map(|tokens| (folder, tokens.unwrap()))
}

fn jwks(keys: &[&Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({"sub": "fred", "exp": get_current_timestamp() + 60});
    for (key, value) in more.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

#[test]
fn what_a_token_says_is_looked_at() {
    let key = Ec::new("a");
    let options = "oauth.issuer = https://id.example\noauth.audience = \"imap other\"\n\
                   oauth.scope = \"mail read\"\noauth.leeway = 0\noauth.userclaim = email\n";
    let (_folder, tokens) = tokens(&key.pem, options).unwrap();
    let now = get_current_timestamp();
    let good = json!({
        "iss": "https://id.example", "aud": ["x", "imap"], "scope": "read write mail", "email": "f",
    });
    let check = |more: Value| {
        let mut all = claims(&good);
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        tokens.check(key.sign(None, &all).as_bytes())
    };
    assert_eq!(check(json!({})).as_deref(), Ok("f"));
    assert_eq!(
        check(json!({"aud": "other", "nbf": now})).as_deref(),
        Ok("f")
    );
    assert_eq!(
        check(json!({"scope": null, "scp": ["mail", "read"]})).as_deref(),
        Ok("f")
    );
    let claim = |name: &str| TokenFault::Claim(name.into());
    for (more, fault) in [
        (json!({"exp": now - 1}), TokenFault::Expired),
        (json!({"exp": null}), claim("exp")),
        (json!({"exp": "soon"}), claim("exp")),
        (json!({"nbf": now + 30}), TokenFault::Early),
        (json!({"nbf": "x"}), claim("nbf")),
        (json!({"iss": "https://id.example.org"}), TokenFault::Issuer),
        (json!({"iss": null}), claim("iss")),
        (json!({"iss": 7}), claim("iss")),
        (json!({"iss": ["https://id.example"]}), TokenFault::Issuer),
        (json!({"exp": now}), TokenFault::Expired),
        (json!({"aud": "imaps"}), TokenFault::Audience),
        (json!({"aud": []}), TokenFault::Audience),
        (json!({"aud": null}), claim("aud")),
        (json!({"scope": "mail"}), TokenFault::Scope("read".into())),
        (
            json!({"scope": "mailread"}),
            TokenFault::Scope("mail".into()),
        ),
        (json!({"scope": null}), TokenFault::Scope("mail".into())),
        (json!({"email": null}), claim("email")),
        (json!({"email": ""}), claim("email")),
        (json!({"email": ["f"]}), claim("email")),
        (json!({"email": "x".repeat(513)}), claim("email")),
    ] {
        assert_eq!(check(more.clone()), Err(fault), "{more}");
    }
}

#[test]
fn without_an_audience_of_ours_nobody_elses_token_is_taken() {
    let key = Ec::new("a");
    let (_folder, tokens) = tokens(&key.pem, "").unwrap();
    let token = |more| key.sign(None, &claims(&more));
    assert!(tokens.check(token(json!({})).as_bytes()).is_ok());
    for other in [json!("web"), json!(["web", 5]), json!({"x": 1}), json!([])] {
        let refused = tokens.check(token(json!({"aud": other})).as_bytes());
        assert_eq!(refused, Err(TokenFault::Audience), "{other}");
    }
}

#[test]
fn the_key_decides_which_algorithms_there_are_and_its_id_which_key() {
    let (a, b) = (Ec::new("a"), Ec::new("b"));
    let set = jwks(&[&a.jwk, &b.jwk, &secret()]);
    let (_folder, tokens) = tokens(&set, "").unwrap();
    let claims = claims(&json!({}));
    let check = |token: &str| tokens.check(token.as_bytes());
    assert!(check(&a.sign(Some("a"), &claims)).is_ok());
    assert!(check(&b.sign(Some("b"), &claims)).is_ok());
    assert!(
        check(&b.sign(None, &claims)).is_ok(),
        "each of its kind is tried"
    );
    assert_eq!(
        check(&a.sign(Some("b"), &claims)),
        Err(TokenFault::Signature)
    );
    let unknown = TokenFault::UnknownKey("c\n".into());
    assert_eq!(
        unknown.to_string(),
        r#"oauth.keys has no key "c\n" of its token"#
    );
    assert_eq!(check(&a.sign(Some("c\n"), &claims)), Err(unknown));
    let other = TokenFault::Algorithm(Algorithm::ES256);
    assert_eq!(check(&a.sign(Some("s"), &claims)), Err(other));
    let hmac = |kid: Option<&str>, secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.map(str::to_owned);
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    assert!(check(&hmac(Some("s"), SECRET)).is_ok());
    assert_eq!(check(&hmac(None, b"guessed")), Err(TokenFault::Signature));
    // What is public is no secret, in whatever form somebody takes it.
    let mistaken = TokenFault::Algorithm(Algorithm::HS256);
    assert_eq!(check(&hmac(Some("a"), a.pem.as_bytes())), Err(mistaken));
    let token = a.sign(None, &claims);
    let parts: Vec<&str> = token.split('.').collect();
    let with = |header: Value| {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": "es256"}),
        json!({"typ": "JWT"}),
        json!({"alg": "\nforged"}),
        json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
    ] {
        let refused = check(&with(header.clone()));
        assert!(
            matches!(refused, Err(TokenFault::Malformed(_))),
            "{header}: {refused:?}"
        );
    }
    let forged = check(&with(
        json!({"alg": "\nlogin failed from 203.0.113.9, user \"x"}),
    ));
    assert!(
        !forged.unwrap_err().to_string().contains(['\n', '2']),
        "nothing of it is logged"
    );
    // Its own key, in its own header.
    let own = json!({"alg": "ES256", "jwk": Ec::new("x").jwk});
    assert_eq!(check(&with(own)), Err(TokenFault::Signature));
    for bad in [
        "",
        "x",
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d",
        &format!("{}.{}.", parts[0], parts[1]),
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_token_that_was_changed_in_any_place_is_none() {
    let key = Ec::new("a");
    let (_folder, tokens) = tokens(&key.pem, "").unwrap();
    let token = key.sign(None, &claims(&json!({})));
    assert!(tokens.check(token.as_bytes()).is_ok());
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        assert!(tokens.check(&other).is_err(), "byte {at}");
        assert!(tokens.check(&token.as_bytes()[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn files_without_a_key_that_can_be_used_are_refused() {
    let key = Ec::new("a");
    let mut other_use = key.jwk.clone();
    other_use["use"] = json!("enc");
    let mut other_algorithm = key.jwk.clone();
    other_algorithm["alg"] = json!("ES384");
    let mut off_the_curve = key.jwk.clone();
    off_the_curve["x"] = json!(URL_SAFE_NO_PAD.encode([1; 32]));
    let short = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(&SECRET[1..])});
    let small = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"});
    let many = vec![&key.jwk; 33];
    let why = |text: &str| tokens(text, "").err().unwrap().to_string();
    for (text, expected) in [
        (String::new(), "no key that can be used"),
        ("nonsense".into(), "no key that can be used"),
        (jwks(&[]), "no key that can be used"),
        (jwks(&[&other_use]), "no key that can be used"),
        (jwks(&[&other_algorithm]), "no key that can be used"),
        (
            jwks(&[&json!({"kty": "OKP", "crv": "X"})]),
            "no key that can be used",
        ),
        (jwks(&[&off_the_curve]), "key 1 can't be used"),
        (
            jwks(&[&key.jwk, &short]),
            "key 2 can't be used: a secret has 32 bytes",
        ),
        (jwks(&[&small]), "RSA keys have 2048"),
        (jwks(&many), "more than 32 keys"),
        ("{".into(), "neither PEM nor JSON"),
        (key.pem.replace("MFkw", "MFkx"), "key 1 can't be used"),
    ] {
        let said = why(&text);
        assert!(said.contains(expected), "{text}: {said}");
        assert!(said.starts_with("oauth.keys: /"), "{said}");
    }
    // One key, not in a set; and what is of no use beside what is.
    assert_eq!(tokens(&key.jwk.to_string(), "").unwrap().1.count(), 1);
    assert_eq!(
        tokens(&jwks(&[&other_use, &key.jwk]), "")
            .unwrap()
            .1
            .count(),
        1
    );
}

#[test]
fn keys_are_changed_all_or_none() {
    let (old, new) = (Ec::new("a"), Ec::new("b"));
    let (folder, tokens) = tokens(&old.pem, "").unwrap();
    let path = folder.path().join("config/keys");
    let claims = claims(&json!({}));
    let is_good = |key: &Ec| tokens.check(key.sign(None, &claims).as_bytes()).is_ok();
    std::fs::write(&path, "nonsense").unwrap();
    assert!(tokens.reload().is_err());
    assert!(is_good(&old) && !is_good(&new));
    std::fs::write(&path, format!("{}{}", old.pem, new.pem)).unwrap();
    tokens.reload().unwrap();
    assert!(is_good(&old) && is_good(&new));
    std::fs::write(&path, &new.pem).unwrap();
    tokens.reload().unwrap();
    assert!(!is_good(&old) && is_good(&new));
}
