use super::*;
use crate::password::{self, Scheme};

mod verifiers;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    (folder, path)
}

fn stored(password: &str) -> String {
    password::hash(Scheme::Ssha256, password.as_bytes()).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    list(path, |name, _, _| {
        names.push(name.to_owned());
        Ok(())
    })
    .unwrap();
    names
}

#[test]
fn add_verify_change_and_delete() {
    let (_folder, path) = directory();
    let login = Login::new(Arc::new(Users::open(&path).unwrap()), 16);
    assert!(login.verify("ann", b"x").unwrap().is_none());
    let quota = Quota {
        bytes: Some(Limit::Most(5)),
        messages: None,
    };
    add(&path, "Ann", b"first", quota).unwrap();
    assert!(
        add(&path, "ann", b"x", quota)
            .unwrap_err()
            .to_string()
            .contains("exists")
    );
    assert!(
        login.recall("ann", b"first").is_none(),
        "nothing verified yet"
    );
    let user = login.verify("ANN", b"first").unwrap().unwrap();
    assert_eq!((&*user.name, user.quota), ("ann", quota));
    assert!(login.recall("ann", b"first").is_some());
    assert!(login.verify("ann", b"second").unwrap().is_none());
    set_password(&path, "ann", b"second").unwrap();
    assert!(
        login.recall("ann", b"first").is_none(),
        "the password was changed"
    );
    assert!(login.verify("ann", b"first").unwrap().is_none());
    assert_eq!(
        login.verify("ann", b"second").unwrap().unwrap().quota,
        quota
    );
    delete(&path, "ann").unwrap();
    assert!(login.recall("ann", b"second").is_none());
    assert!(login.verify("ann", b"second").unwrap().is_none());
    assert!(delete(&path, "ann").is_err());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn debug_output_keeps_secrets() {
    let (_folder, path) = directory();
    fs::write(&path, format!("ann:{}\n", stored("x"))).unwrap();
    let user = Users::open(&path).unwrap().find("ann").unwrap().unwrap();
    assert!(!format!("{user:?}").contains("SSHA256"));
}

#[test]
fn imports_all_or_nothing_and_names_lines() {
    let (folder, path) = directory();
    let file = folder.path().join("list");
    fs::write(&path, format!("# ours\nold:{}\n", stored("o"))).unwrap();
    let good = stored("g");
    fs::write(
        &file,
        format!("a:{good}\nold:{good}\nB:{{MD5}}x\na:{good}\nc d:x\n"),
    )
    .unwrap();
    let error = import(&path, &file, Format::Own, Scheme::Ssha256, |_, _| {})
        .unwrap_err()
        .to_string();
    for (line, reason) in [(2, "exists"), (3, "no scheme"), (4, "twice"), (5, "blanks")] {
        let found = error
            .lines()
            .find(|l| l.contains(&format!("line {line}: ")))
            .unwrap();
        assert!(found.contains(reason), "{error}");
    }
    assert!(!error.contains("line 1:"), "{error}");
    assert_eq!(names(&path), ["old"]);
    fs::write(
        &file,
        format!("a:{good}:100:-1\r\n\n# c\nB@x.org:clear text\n"),
    )
    .unwrap();
    assert_eq!(
        import(&path, &file, Format::Own, Scheme::Ssha256, |_, _| {}).unwrap(),
        Imported {
            added: 2,
            left_out: 0
        }
    );
    assert_eq!(names(&path), ["old", "a", "b@x.org"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# ours\n"));
    let login = Login::new(Arc::new(Users::open(&path).unwrap()), 16);
    assert!(login.verify("b@X.org", b"clear text").unwrap().is_some());
    assert!(!fs::read_to_string(&path).unwrap().contains("clear text"));
}

#[test]
fn a_directory_out_of_order_is_refused_but_one_in_force_stays() {
    let (_folder, path) = directory();
    fs::write(&path, format!("ann:{}\n", stored("x"))).unwrap();
    let users = Users::open(&path).unwrap();
    fs::write(&path, "ann:nothing\n").unwrap();
    let error = Users::open(&path).err().unwrap().to_string();
    assert!(error.contains("users, line 1: "), "{error}");
    assert!(users.reload_if_changed().is_err());
    assert!(!users.reload_if_changed().unwrap(), "told once");
    fs::write(&path, format!("bob:{}\nann:{}\n", stored("x"), stored("y"))).unwrap();
    assert!(users.find("bob").unwrap().is_some());
    assert_eq!(users.count(), 2);
    fs::write(&path, format!("Bob:{}\n", stored("x"))).unwrap();
    assert!(
        Users::open(&path)
            .err()
            .unwrap()
            .to_string()
            .contains("lower case")
    );
}

#[test]
fn many_users_are_indexed_compactly() {
    let (_folder, path) = directory();
    let hash = stored("x");
    let text: String = (0..50_000)
        .map(|n| format!("user{n}:{hash}:{}\n", n + 1))
        .collect();
    fs::write(&path, text).unwrap();
    let users = Users::open(&path).unwrap();
    assert_eq!(users.count(), 50_000);
    for n in [0, 1, 777, 49_999] {
        let user = users.find(&format!("User{n}")).unwrap().unwrap();
        assert_eq!(user.quota.bytes, Some(Limit::Most(n + 1)));
    }
    assert!(users.find("user50000").unwrap().is_none());
    let decoy = users.decoy("user50000").unwrap();
    assert!(decoy.stored.starts_with("{SSHA256}"));
}

#[test]
fn lines_without_end_and_too_long_lines() {
    let (_folder, path) = directory();
    fs::write(&path, format!("ann:{}", stored("x"))).unwrap();
    assert_eq!(Users::open(&path).unwrap().count(), 1);
    add(&path, "bob", b"y", Quota::default()).unwrap();
    assert_eq!(names(&path), ["ann", "bob"]);
    fs::write(&path, format!("\nann:{}\n", "x".repeat(1 << 20))).unwrap();
    let error = Users::open(&path).err().unwrap().to_string();
    assert!(
        error.contains("line 2: ") && error.contains("longer"),
        "{error}"
    );
}

#[test]
fn many_are_hashed_in_order_and_progress_is_told() {
    let (folder, path) = directory();
    let file = folder.path().join("list");
    let lines: String = (0..100).map(|at| format!("u{at}:pass{at}\n")).collect();
    fs::write(&file, lines).unwrap();
    let mut told = Vec::new();
    import(&path, &file, Format::Own, Scheme::Ssha256, |ready, of| {
        told.push((ready, of))
    })
    .unwrap();
    assert_eq!(told.last(), Some(&(100, 100)));
    assert!(told.is_sorted() && told.len() > 1, "{told:?}");
    let expected: Vec<String> = (0..100).map(|at| format!("u{at}")).collect();
    assert_eq!(names(&path), expected);
    let login = Login::new(Arc::new(Users::open(&path).unwrap()), 16);
    assert!(login.verify("u99", b"pass99").unwrap().is_some());
    // Also a password that can't be hashed is a line's problem.
    fs::write(&file, "x:good\ny:\n").unwrap();
    let refused = import(&path, &file, Format::Own, Scheme::Ssha256, |_, _| {});
    assert!(refused.unwrap_err().to_string().contains("line 2: "));
    assert_eq!(names(&path).len(), 100);
}

/// Whatever becomes of the file, the users known before stay known.
#[test]
fn a_directory_that_is_spoilt_in_its_place_stays_known() {
    for how in ["broken\n", "", "# comments only\n", "removed"] {
        let spoil = |path: &Path| match how {
            "removed" => fs::remove_file(path).unwrap(),
            text => fs::write(path, text).unwrap(),
        };
        let (_folder, path) = directory();
        fs::write(&path, format!("ann:{}\n", stored("x"))).unwrap();
        let users = Users::open(&path).unwrap();
        spoil(&path);
        // A lookup that sees it first does not keep it to itself.
        assert!(users.find("ann").unwrap().is_some(), "{how}");
        let error = users.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{how}: {error}");
        assert!(!users.reload_if_changed().unwrap(), "{how}: told once");
        assert_eq!(
            users.refused(),
            Some(error),
            "{how}: as often as it is asked"
        );
        assert!(users.find("ann").unwrap().is_some(), "{how}");
        assert!(users.find("bob").unwrap().is_none(), "{how}");
        fs::write(&path, format!("bob:{}\n", stored("x"))).unwrap();
        assert!(
            users.find("bob").unwrap().is_some(),
            "{how}: in order again"
        );
        assert!(users.find("ann").unwrap().is_none(), "{how}");
        assert_eq!(users.refused(), None, "{how}: in order again");
    }
}

#[test]
fn a_directory_that_is_refused_says_so_to_who_asks_first() {
    let (_folder, path) = directory();
    fs::write(&path, format!("ann:{}\n", stored("x"))).unwrap();
    let users = Users::open(&path).unwrap();
    fs::write(&path, "ann:nothing\n").unwrap();
    let why = users.refused().unwrap();
    assert!(why.contains("users, line 1: "), "{why}");
    fs::write(&path, format!("ann:{}\nbob:{}\n", stored("x"), stored("y"))).unwrap();
    assert_eq!((users.refused(), users.count()), (None, 2));
}

/// A directory too large to be kept is not known any more; nobody is said to be unknown.
#[test]
fn a_large_directory_that_is_spoilt_in_its_place_is_an_error() {
    let (_folder, path) = directory();
    let hash = stored("x");
    let text: String = (0..70_000).map(|n| format!("user{n}:{hash}\n")).collect();
    fs::write(&path, text).unwrap();
    let users = Users::open(&path).unwrap();
    assert!(users.find("nobody").unwrap().is_none());
    fs::write(&path, "broken\n").unwrap();
    let error = users.find("user7").unwrap_err().to_string();
    assert!(error.contains("in its place"), "{error}");
}

#[test]
fn a_locked_user_cant_log_in_and_keeps_the_rest() {
    let (_folder, path) = directory();
    let users = Arc::new(Users::open(&path).unwrap());
    let login = Login::new(users.clone(), 16);
    let quota = Quota {
        bytes: Some(Limit::Most(5)),
        messages: None,
    };
    add(&path, "ann", b"first", quota).unwrap();
    let before = login.verify("ann", b"first").unwrap().unwrap();
    let mut edition = users.edition();
    set_locked(&path, "ANN", true).unwrap();
    assert!(
        set_locked(&path, "ann", true)
            .unwrap_err()
            .to_string()
            .contains("is locked")
    );
    assert!(
        login.recall("ann", b"first").is_none(),
        "though it verified lately"
    );
    assert!(login.verify("ann", b"first").unwrap().is_none());
    assert_eq!(
        users.revoked_since(&mut edition).unwrap(),
        *std::slice::from_ref(&before.account)
    );
    set_password(&path, "ann", b"second").unwrap();
    assert!(users.find("ann").unwrap().unwrap().locked, "still");
    set_locked(&path, "ann", false).unwrap();
    let after = login.verify("ann", b"second").unwrap().unwrap();
    assert_eq!((&after.account, after.quota), (&before.account, quota));
    set_quota(&path, "ann", Quota::default()).unwrap();
    let after = login.verify("ann", b"second").unwrap().unwrap();
    assert_eq!(
        (&after.account, after.quota),
        (&before.account, Quota::default())
    );
    assert!(set_locked(&path, "bob", true).is_err());
}

#[test]
fn a_renamed_user_keeps_the_account_and_the_old_name_is_free() {
    let (_folder, path) = directory();
    add(&path, "ann", b"x", Quota::default()).unwrap();
    add(&path, "cid", b"x", Quota::default()).unwrap();
    let users = Users::open(&path).unwrap();
    let account = users.find("ann").unwrap().unwrap().account;
    let mut edition = users.edition();
    assert!(
        rename(&path, "ann", "cid")
            .unwrap_err()
            .to_string()
            .contains("exists")
    );
    assert!(rename(&path, "ann", "c d").is_err() && rename(&path, "bob", "eve").is_err());
    rename(&path, "ann", "Bob").unwrap();
    let bob = users.find("bob").unwrap().unwrap();
    assert_eq!(bob.account, account);
    assert_eq!(&*users.name_of(&account), "bob");
    assert_eq!(
        users.revoked_since(&mut edition).unwrap(),
        *std::slice::from_ref(&account)
    );
    assert!(users.find("ann").unwrap().is_none());
    add(&path, "ann", b"x", Quota::default()).unwrap();
    assert_ne!(users.find("ann").unwrap().unwrap().account, account);
    rename(&path, "bob", "dora").unwrap();
    assert_eq!(
        users.find("dora").unwrap().unwrap().account,
        account,
        "twice"
    );
    assert_eq!(&*users.name_of(&account), "dora");
    fs::write(&path, format!("eve:{}\n", stored("x"))).unwrap();
    let error = rename(&path, "eve", "fay").unwrap_err().to_string();
    assert!(error.contains("no id"), "{error}");
}

#[test]
fn scram_by_entries_by_what_was_learned_and_for_nobody() {
    let (folder, path) = directory();
    add(&path, "ann", b"x", Quota::default()).unwrap();
    let users = Arc::new(Users::open(&path).unwrap());
    assert!(users.is_all_scram(0, |_| false).unwrap());
    let only = format!("bob:{}\n", stored("pencil"));
    fs::write(&path, fs::read_to_string(&path).unwrap() + &only).unwrap();
    let open = || {
        let learned = Learned::open(&folder.path().join("scram"), 2).unwrap();
        Login::new(users.clone(), 16)
            .with_learned(Some(learned))
            .with_scram(ScramUse::Always)
    };
    let login = open();
    let bob = login.verify("bob", b"pencil").unwrap().unwrap();
    assert!(!users.is_all_scram(0, |_| true).unwrap() && login.can_learn(&bob));
    let salt = |login: &Login, name: &str| {
        let Challenge {
            salt, iterations, ..
        } = login.challenge(name).unwrap();
        (salt, iterations)
    };
    let before = login.challenge("bob").unwrap();
    let again = login.challenge("BOB").unwrap();
    assert_eq!(
        (&again.salt, again.iterations),
        (&before.salt, before.iterations)
    );
    assert_ne!(again.nonce, before.nonce);
    assert_ne!(login.challenge("cid").unwrap().salt, before.salt);
    let proof = |challenge: &Challenge| {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(
            b"pencil",
            &challenge.salt,
            challenge.iterations,
            &mut salted,
        );
        let key = password::scram::mac(&salted, b"Client Key");
        let stored_key: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            *key,
        ))
        .into();
        let signature = password::scram::mac(&stored_key, b"message");
        std::array::from_fn::<u8, 32, _>(|at| key[at] ^ signature[at])
    };
    let check = |login: &Login, name: &str, proof: &[u8]| {
        login
            .check_proof(name, b"message", proof)
            .unwrap()
            .is_some()
    };
    assert!(
        !check(&login, "bob", &proof(&before)),
        "nothing was learned yet"
    );
    login.learn(&bob, b"pencil").unwrap();
    assert!(!login.can_learn(&bob));
    let shown = (before.salt.clone(), before.iterations);
    assert_eq!(salt(&login, "bob"), shown, "nobody sees that it was");
    assert!(check(&login, "bob", &proof(&before)));
    assert!(!check(&login, "ann", &proof(&before)));
    let nobody = login.challenge("cid").unwrap();
    assert!(!check(&login, "cid", &proof(&nobody)));
    drop(login);
    let login = open();
    let shown = (nobody.salt.clone(), nobody.iterations);
    assert_eq!(salt(&login, "cid"), shown, "after a restart too");
    let is_known = |user: &User| &*user.name == "bob";
    assert!(users.is_all_scram(1, is_known).unwrap());
    assert!(!users.is_all_scram(1, |_| false).unwrap());
    assert!(check(&login, "bob", &proof(&before)));
    set_locked(&path, "bob", true).unwrap();
    assert!(!check(&login, "bob", &proof(&before)), "locked");
}

#[test]
fn files_of_dovecot_and_the_system() {
    let (folder, path) = directory();
    let file = folder.path().join("list");
    let sha512 = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJues\
                  I68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    let dovecot = format!(
        "ann:{{SHA512-CRYPT}}{sha512}:1000:1000::/home/ann:\
         :userdb_quota_rule=*:storage=1G:messages=7\n\
         bob:{{PLAIN}}Hello world!::::::nologin=y\n\
         cid:{{CRYPT}}{sha512}:::::: userdb_quota_storage_size=5M x=y\n\
         dan:{sha512}\n"
    );
    fs::write(&file, dovecot).unwrap();
    let done = import(&path, &file, Format::Dovecot, Scheme::Ssha256, |_, _| {}).unwrap();
    assert_eq!(
        done,
        Imported {
            added: 4,
            left_out: 0
        }
    );
    let login = Login::new(Arc::new(Users::open(&path).unwrap()), 16);
    for name in ["ann", "cid", "dan"] {
        assert!(
            login.verify(name, b"Hello world!").unwrap().is_some(),
            "{name}"
        );
    }
    let user = |name: &str| login.users().find(name).unwrap().unwrap();
    assert!(user("bob").locked);
    let (bytes, messages) = (Some(Limit::Most(1 << 30)), Some(Limit::Most(7)));
    assert_eq!(user("ann").quota, Quota { bytes, messages });
    assert_eq!(user("cid").quota.bytes, Some(Limit::Most(5 << 20)));
    let shadow = format!(
        "root:*:19000:0:99999:7:::\ndaemon:!*:1::::::\nsys:!:1::::::\n\
         eve:{sha512}:19000:0:99999:7:::\nfay:!{sha512}:19000::::::\n"
    );
    fs::write(&file, shadow).unwrap();
    let done = import(&path, &file, Format::Shadow, Scheme::Ssha256, |_, _| {}).unwrap();
    assert_eq!(
        done,
        Imported {
            added: 2,
            left_out: 3
        }
    );
    assert!(login.verify("eve", b"Hello world!").unwrap().is_some());
    assert!(user("fay").locked && !user("eve").locked);
    let bad = "gus:$1$salt$hash\nhal:{CRAM-MD5}00ff\nivy:\njan:{CRYPT}aabbccddeeffg\n\
               kit:x:1:1::::userdb_quota_rule=Trash:storage=1G\n";
    fs::write(&file, bad).unwrap();
    let error = import(&path, &file, Format::Dovecot, Scheme::Ssha256, |_, _| {});
    let error = error.unwrap_err().to_string();
    for (line, what) in [
        (1, "user gus: MD5-CRYPT"),
        (2, "user hal: there is no scheme {CRAM-MD5}"),
        (3, "user ivy: a hash without"),
        (4, "user jan: DES-CRYPT"),
        (5, "user kit: a hash without"),
    ] {
        let text = format!("line {line}: {what}");
        assert!(error.contains(&text), "{text} in {error}");
    }
    fs::write(&file, "lea::1::::::\n").unwrap();
    let error = import(&path, &file, Format::Shadow, Scheme::Ssha256, |_, _| {});
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("user lea: the password is empty")
    );
}

#[test]
fn administrators_act_as_others_and_nobody_else_does() {
    let (_folder, path) = directory();
    for name in ["ann", "bob", "cid"] {
        add(&path, name, b"x", Quota::default()).unwrap();
    }
    set_locked(&path, "cid", true).unwrap();
    let login = Login::new(Arc::new(Users::open(&path).unwrap()), 16);
    let login = login.with_admins("Ann, root").unwrap();
    let acts = |user: &str, other: Option<&str>| {
        let user = login.users().find(user).unwrap().unwrap();
        let acting = login.acting_as(&user, other).unwrap();
        acting.map(|it| it.name.to_string())
    };
    assert_eq!(acts("ann", None).as_deref(), Some("ann"));
    assert_eq!(acts("ann", Some("BOB")).as_deref(), Some("bob"));
    assert_eq!(acts("bob", Some("Bob")).as_deref(), Some("bob"));
    for (user, other) in [("bob", "ann"), ("ann", "cid"), ("ann", "dan"), ("ann", "")] {
        assert_eq!(acts(user, Some(other)), None, "{user} as {other}");
    }
    let users = login.users().clone();
    assert!(Login::new(users, 16).with_admins("a:b").is_err());
}

#[test]
fn the_first_user_ends_nobodys_session() {
    let (_folder, path) = directory();
    let users = Users::open(&path).unwrap();
    let mut edition = users.edition();
    add(&path, "ann", b"first", Quota::default()).unwrap();
    assert!(users.find("ann").unwrap().is_some());
    let revoked = users.revoked_since(&mut edition).unwrap();
    assert!(revoked.is_empty(), "{revoked:?}");
}
