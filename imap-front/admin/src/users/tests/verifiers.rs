//! Verifiers beside hashes and in their place.

use super::*;
use crate::password::scram::Verifier;

/// A verifier stands for a costly hash, of a user who isn't there too, and none is learned by what
/// is cheap, or if SCRAM is not wanted.
#[test]
fn passwords_are_checked_by_what_is_cheaper_and_learned_as_told() {
    let (folder, path) = directory();
    let hash = password::hash(Scheme::Argon2id, b"right").unwrap();
    let cheap = stored("right");
    let beside = |stored: &str| Verifier::new(b"other").to_text_beside(stored);
    let lines = format!(
        "ann:{hash}::::{}\nbob:{cheap}::::{}\ncid:{hash}\ndan:{cheap}\n",
        *beside(&hash),
        *beside(&cheap)
    );
    fs::write(&path, lines).unwrap();
    let users = Arc::new(Users::open(&path).unwrap());
    let login = |scram| {
        let learned = Learned::open(&folder.path().join("scram"), 2).unwrap();
        Login::new(users.clone(), 16)
            .with_learned(Some(learned))
            .with_scram(scram)
    };
    let auto = login(ScramUse::Auto);
    let takes = |name: &str, password: &[u8]| auto.verify(name, password).unwrap().is_some();
    assert!(takes("ann", b"other") && !takes("ann", b"right") && !takes("ann", b""));
    assert!(takes("bob", b"right") && !takes("bob", b"other"));
    assert!(takes("cid", b"right") && !takes("eve", b"right"));
    let learns = |scram| {
        let login = login(scram);
        let user = |name: &str| users.find(name).unwrap().unwrap();
        ["ann", "cid", "dan"].map(|name| login.can_learn(&user(name)))
    };
    assert_eq!(learns(ScramUse::Auto), [false, true, false]);
    assert_eq!(learns(ScramUse::Always), [false, true, true]);
    assert_eq!(learns(ScramUse::Never), [false; 3]);
    assert!(login(ScramUse::Always).offers_scram().unwrap());
    assert!(!login(ScramUse::Never).offers_scram().unwrap());
    let cid = users.find("cid").unwrap().unwrap();
    auto.learn(&cid, b"right").unwrap();
    assert!(takes("cid", b"right") && !takes("cid", b"wrong"));
    assert!(!auto.offers_scram().unwrap(), "dan has none");
    delete(&path, "dan").unwrap();
    assert!(users.reload_if_changed().unwrap());
    assert!(auto.offers_scram().unwrap());
}

/// A hash that somebody has put in the place of another makes the verifier beside it worthless, and
/// so does a new password in clear.
#[test]
fn a_verifier_is_of_the_hash_that_it_is_beside() {
    let (folder, path) = directory();
    let old = password::hash(Scheme::Argon2id, b"old").unwrap();
    let new = password::hash(Scheme::Argon2id, b"new").unwrap();
    let verifier = Verifier::new(b"old").to_text_beside(&old);
    fs::write(&path, format!("ann:{new}::::{}\n", *verifier)).unwrap();
    let users = Arc::new(Users::open(&path).unwrap());
    let learned = Learned::open(&folder.path().join("scram"), 2).unwrap();
    let login = Login::new(users.clone(), 16).with_learned(Some(learned));
    let takes = |password: &[u8]| login.verify("ann", password).unwrap().is_some();
    assert!(takes(b"new") && !takes(b"old"));
    assert!(!login.offers_scram().unwrap());
    assert!(login.can_learn(&users.find("ann").unwrap().unwrap()));
    let file = folder.path().join("list");
    fs::write(&file, format!("bob:new::::{}\n", *verifier)).unwrap();
    let hashing = Hashing {
        scheme: Scheme::Argon2id,
        verifier: false,
    };
    import(&path, &file, Format::Own, hashing, |_, _| {}).unwrap();
    let bob = Users::open(&path).unwrap().find("bob").unwrap().unwrap();
    assert!(bob.verifier.is_none());
}

#[test]
fn a_verifier_is_made_unless_it_is_not_wanted() {
    let (folder, path) = directory();
    add(&path, "ann", b"x", Quota::default()).unwrap();
    let plain = NewPassword {
        password: b"x",
        verifier: false,
    };
    add(&path, "bob", plain, Quota::default()).unwrap();
    let has = |name: &str| {
        let users = Users::open(&path).unwrap();
        users.find(name).unwrap().unwrap().verifier.is_some()
    };
    assert!(has("ann") && !has("bob"));
    set_password(&path, "ann", plain).unwrap();
    set_password(&path, "bob", b"y").unwrap();
    assert!(!has("ann") && has("bob"));
    let file = folder.path().join("list");
    fs::write(&file, "cid:x\n").unwrap();
    let hashing = Hashing {
        scheme: Scheme::Argon2id,
        verifier: false,
    };
    import(&path, &file, Format::Own, hashing, |_, _| {}).unwrap();
    assert!(!has("cid"));
}

/// Verifiers from elsewhere have salts and iterations of their own: a name that is nobody's is told
/// such ones, too, the same in any case and after changes of the directory.
#[test]
fn challenges_do_not_tell_who_is_there() {
    let (folder, path) = directory();
    let add = |name: &str, salt: &[u8], iterations| {
        let verifier = Verifier::derive(b"pencil", salt, iterations);
        let text = format!("{name}:{{SCRAM-SHA-256}}{}\n", *verifier.to_text());
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, before + &text).unwrap();
    };
    for at in 0..8 {
        add(&format!("short{at}"), &[at; 12], 4096);
    }
    let users = Arc::new(Users::open(&path).unwrap());
    let learned = Learned::open(&folder.path().join("scram"), 2).unwrap();
    let login = Login::new(users.clone(), 16).with_learned(Some(learned));
    let told = |name: &str| {
        let challenge = login.challenge(name).unwrap();
        (challenge.salt, challenge.iterations)
    };
    let shape = |name: &str| (told(name).0.len(), told(name).1);
    for at in 0..50 {
        assert_eq!(shape(&format!("nobody{at}")), (12, 4096));
    }
    for at in 0..24 {
        add(&format!("long{at}"), &[at; 64], 15_000);
    }
    assert!(users.reload_if_changed().unwrap());
    let names: Vec<String> = (0..200).map(|at| format!("nobody{at}")).collect();
    let before: Vec<_> = names.iter().map(|name| told(name)).collect();
    let long = before.iter().filter(|(salt, _)| salt.len() == 64).count();
    assert!((1..200).contains(&long), "{long} of 200 as 24 of 32 users");
    for (name, before) in names.iter().zip(&before) {
        assert_eq!(told(&name.to_uppercase()), *before, "{name}");
    }
    add("one-more", &[1; 12], 4096);
    assert!(users.reload_if_changed().unwrap());
    let changed = names
        .iter()
        .zip(&before)
        .filter(|(name, it)| told(name) != **it);
    assert!(changed.count() < 40, "one user more changes little");
    assert!(
        login
            .check_proof("nobody1", b"message", &[0; 32])
            .unwrap()
            .is_none()
    );
}
