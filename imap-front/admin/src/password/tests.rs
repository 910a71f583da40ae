use super::*;

/// Hashes made by other programs: `openssl passwd -6` and `-5`, and the bcrypt test vectors.
const KNOWN: [(&str, &str); 6] = [
    (
        "pleaseletmein",
        "{YESCRYPT}$y$j9T$K3bcBWWvO2JxLdyTWMwOI.$PXJgNydiR8XdsvsM3QeNDhZNvEmXTDLpMoG.cKBdWa7",
    ),
    (
        "Hello world!",
        "{SSHA512}e5ouc7Gp84W3s3tg+qC3yU9M5JxemWe7T7F5ACNphX45E4f4CTVbkRF1/e6T\
         IsObPZJtBwVteHPs2dAh0FETAnNhbHRzYWx0",
    ),
    (
        "U*U",
        "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ),
    (
        "Hello world!",
        "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJues\
         I68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    (
        "Hello world!",
        "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
    ),
    (
        "Hello world!",
        "{sha256-crypt}$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZR\
         BAwqFMz2.opqey6IcA",
    ),
];

#[test]
fn hashes_of_other_programs_verify() {
    for (password, stored) in KNOWN {
        let checked = check_stored(stored);
        assert!(checked.is_ok(), "{stored}: {checked:?}");
        assert!(verify(stored, password.as_bytes()), "{stored}");
        assert!(!verify(stored, b"wrong"), "{stored}");
        assert!(!verify(stored, b""), "{stored}");
    }
}

#[test]
fn new_hashes_verify_and_are_salted() {
    for scheme in [Scheme::Argon2id, Scheme::ScramSha256, Scheme::Ssha256] {
        let first = hash(scheme, "pä ss".as_bytes()).unwrap();
        let second = hash(scheme, "pä ss".as_bytes()).unwrap();
        assert_ne!(first, second);
        assert_eq!(check_stored(&first), Ok(scheme));
        assert!(verify(&first, "pä ss".as_bytes()));
        assert!(!verify(&first, b"pa ss"));
    }
}

#[test]
fn bad_stored_hashes_are_named_and_verify_nothing() {
    for bad in [
        "plain",
        "{MD5}x",
        "{ARGON2ID}",
        "{ARGON2ID}$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$c29tZWhhc2hzb21laGFzaA",
        "{ARGON2ID}$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHRzb21l$c29tZWhhc2hzb21laGFzaA",
        "{BLF-CRYPT}$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "{SHA512-CRYPT}$6$salt$short",
        "{SHA256-CRYPT}$5$rounds=900000000$salt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "{SSHA256}c2hvcnQ=",
        "{SSHA256}???",
        "{SSHA512}c2hvcnQ=",
        "{YESCRYPT}$y$jzz$K3bcBWWvO2JxLdyTWMwOI.$VGR91JdBVFDRSUtBnfPmOgvG.yfO.KRBLPQPwqtNRS5",
        "{YESCRYPT}$y$jTT$K3bcBWWvO2JxLdyTWMwOI.$VGR91JdBVFDRSUtBnfPmOgvG.yfO.KRBLPQPwqtNRS5",
        "{SCRAM-SHA-256}4096,eA==,eA==,eA==",
    ] {
        assert!(check_stored(bad).is_err(), "{bad}");
    }
    for broken in [
        "plain",
        "{MD5}x",
        "{ARGON2ID}",
        "{SHA512-CRYPT}$6$",
        "{SSHA256}c2hvcnQ=",
    ] {
        assert!(!verify(broken, b"x"), "{broken}");
        assert!(!verify(broken, b""), "{broken}");
    }
}

#[test]
fn empty_and_endless_passwords() {
    assert!(hash(Scheme::Argon2id, b"").is_err());
    let long = vec![b'x'; PASSWORD_BYTES_MAX + 1];
    assert!(hash(Scheme::Ssha256, &long).is_err());
    let stored = hash(Scheme::Ssha256, &long[1..]).unwrap();
    assert!(verify(&stored, &long[1..]));
    assert!(!verify(&stored, &long));
}

#[test]
fn nobody_is_sound() {
    assert_eq!(check_stored(NOBODY), Ok(Scheme::Argon2id));
    assert!(!verify(NOBODY, b""));
    assert!(!verify(NOBODY, b"nobody"));
}

#[test]
fn a_password_typed_another_way_is_the_same_and_raw_hashes_of_others_verify() {
    let (composed, decomposed) = ("p\u{e4}ss", "pa\u{308}ss");
    for scheme in [Scheme::Argon2id, Scheme::ScramSha256, Scheme::Ssha256] {
        let stored = hash(scheme, decomposed.as_bytes()).unwrap();
        assert!(verify(&stored, composed.as_bytes()), "{scheme:?}");
        assert!(verify(&stored, decomposed.as_bytes()), "{scheme:?}");
    }
    let salt = b"salt";
    let digest = Sha256::new()
        .chain_update(decomposed)
        .chain_update(salt)
        .finalize();
    let raw = format!(
        "{{SSHA256}}{}",
        STANDARD.encode([digest.as_slice(), salt].concat())
    );
    assert!(verify(&raw, decomposed.as_bytes()));
    assert!(
        hash(Scheme::Ssha256, "\u{ad}".as_bytes()).is_err(),
        "nothing is left of it"
    );
}
