use std::fs;

use super::*;

fn base() -> (tempfile::TempDir, Base) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    let base = Base::new(folder.path());
    (folder, base)
}

fn set(name: &str, value: &str) -> ConfigEdit {
    ConfigEdit::Set(name.into(), value.into())
}

#[test]
fn three_layers_and_their_order() {
    let (_folder, base) = base();
    let config = Config::load(&base).unwrap();
    assert_eq!(config.value("service.imap.port"), "143");
    assert_eq!(config.imap_address().unwrap().to_string(), "0.0.0.0:143");
    assert_eq!(config.lmtp_address().unwrap().to_string(), "127.0.0.1:24");
    fs::write(base.msg_conf_defaults(), "service.imap.port = 1143\n").unwrap();
    assert_eq!(
        Config::load(&base).unwrap().count("service.imap.port"),
        1143
    );
    fs::write(base.msg_conf(), "SERVICE.imap.PORT = 0 # off\n").unwrap();
    assert_eq!(Config::load(&base).unwrap().imap_address(), None);
}

#[test]
fn errors_name_file_line_and_remedy() {
    let (_folder, base) = base();
    for (text, line, remedy) in [
        (
            "\nservice.imap.prot = 1\n",
            2,
            "did you mean service.imap.port?",
        ),
        ("service.imap.idletimeout = 5\n", 1, "from 30 to"),
        ("# c\n\nnonsense\n", 3, "name = value"),
        (
            "store.maxkeywords = 1\nstore.maxkeywords = 2\n",
            2,
            "set twice",
        ),
    ] {
        fs::write(base.msg_conf(), text).unwrap();
        let error = Config::load(&base).unwrap_err().to_string();
        assert!(
            error.contains(&format!("msg.conf, line {line}: ")),
            "{error}"
        );
        assert!(error.contains(remedy), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn edits_keep_comments_and_are_all_or_nothing() {
    let (_folder, base) = base();
    let file = base.msg_conf();
    fs::write(
        &file,
        "# mine\nservice.imap.port = 1 # old\n\nlocal.domains = a.example\n",
    )
    .unwrap();
    let bad = apply(
        &file,
        &[set("service.imap.port", "2"), set("service.imap.port", "x")],
    );
    assert!(matches!(bad, Err(ConfigError::Value(_))));
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .contains("port = 1 # old")
    );
    let changes = [
        set("Service.Imap.Port", "2"),
        set("service.imap.banner", "%h \"quoted\""),
        ConfigEdit::Delete("local.domains".into()),
    ];
    apply(&file, &changes).unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# mine\nservice.imap.port = 2\n\nservice.imap.banner = \"%h \\\"quoted\\\"\"\n"
    );
    let config = Config::load(&base).unwrap();
    assert_eq!(config.count("service.imap.port"), 2);
    assert_eq!(config.value("service.imap.banner"), "%h \"quoted\"");
}

#[test]
fn cleared_values() {
    let (_folder, base) = base();
    apply(
        &base.msg_conf(),
        &[set("service.imap.port", ""), set("service.imap.banner", "")],
    )
    .unwrap();
    let config = Config::load(&base).unwrap();
    assert_eq!(config.count("service.imap.port"), 143);
    assert_eq!(config.banner("IMAP4", "1", "", ""), "");
}

#[test]
fn written_defaults_say_what_is_built_in() {
    let (_folder, base) = base();
    write_defaults(&base.msg_conf_defaults(), "ensign").unwrap();
    let config = Config::load(&base).unwrap();
    for option in options() {
        assert_eq!(config.value(option.name), option.default);
    }
}

#[test]
fn banner_codes() {
    let (_folder, base) = base();
    apply(&base.msg_conf(), &[set("local.hostname", "mail.example")]).unwrap();
    let config = Config::load(&base).unwrap();
    assert_eq!(
        config.banner("IMAP4", "0.1.0", "Nov 23 2026", "today"),
        "mail.example IMAP4 service (Ensign 0.1.0 (built Nov 23 2026))"
    );
    apply(
        &base.msg_conf(),
        &[set("service.imap.banner", "%v %d 100%% %x %")],
    )
    .unwrap();
    let config = Config::load(&base).unwrap();
    assert_eq!(
        config.banner("IMAP4", "0.1.0", "", "today"),
        "0.1.0 today 100% %x %"
    );
}

#[test]
fn a_host_has_its_domain_from_the_list_of_hosts() {
    let hosts = "127.0.0.1 localhost # mail.wrong\n192.0.2.1 mailer.example mail.example mail\n";
    assert_eq!(super::full_name("mail", hosts), "mail.example");
    assert_eq!(super::full_name("mail.example", hosts), "mail.example");
    assert_eq!(super::full_name("other", hosts), "other");
}

#[test]
fn sizes_limits_and_lists() {
    let (_folder, base) = base();
    let changes = [
        set("store.maxmessagesize", "2M"),
        set("store.defaultmailboxquota", "1G"),
        set("local.domains", "A.example, b.example"),
        set("service.lmtp.socket", "run/lmtp"),
    ];
    apply(&base.msg_conf(), &changes).unwrap();
    let config = Config::load(&base).unwrap();
    assert_eq!(config.count("store.maxmessagesize"), 2 << 20);
    assert_eq!(config.limit("store.defaultmailboxquota"), Some(1 << 30));
    assert_eq!(config.limit("store.defaultmessagequota"), None);
    assert_eq!(config.names("local.domains"), ["a.example", "b.example"]);
    assert_eq!(
        config.path("service.lmtp.socket"),
        Some(base.root().join("run/lmtp"))
    );
}
