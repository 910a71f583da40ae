//! When IDLE is offered.

use std::process::Command;
use std::time::{Duration, Instant};

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::server::{Options, Running, start};

use crate::site::{Server, Site, Talk, libibiff};

/// Brokers are looked at ten times a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker of its own, as `enpd` would be.
fn broker(port: u16) -> Running {
    let options = Options {
        tcp: Some(([127, 0, 0, 1], port).into()),
        broker: BrokerConfig::new(Access::parse("").unwrap(), 0),
        ..Options::default()
    };
    let patience = Instant::now() + PATIENCE;
    loop {
        match start(&options) {
            Ok(running) => return running,
            // The port of a broker that was here a moment ago.
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn offers_idle(server: &Server) -> bool {
    server.greeting().contains(" IDLE ")
}

fn until(server: &Server, offered: bool) {
    let patience = Instant::now() + PATIENCE;
    while offers_idle(server) != offered {
        assert!(Instant::now() < patience, "{}", server.greeting());
    }
}

#[test]
fn idle_is_offered_under_all_four_conditions_and_no_fewer() {
    for combination in 0..16u32 {
        let [loaded, keyed, everywhere, reached] =
            [1, 2, 4, 8].map(|condition| combination & condition != 0);
        let mut options = String::new();
        if loaded {
            options += &format!("local.store.notifyplugin = {}\n", libibiff());
        }
        if keyed {
            options += "local.store.notifyplugin.enseventkey = enp://127.0.0.1/store/%M\n";
        }
        if everywhere {
            options += "local.store.notifyplugin.noneinbox.enable = 1\n";
        }
        if reached {
            options += "ens.embedded = yes\n";
        }
        let site = Site::bare(&options);
        let server = site.start();
        let all = combination == 15;
        assert_eq!(offers_idle(&server), all, "{options}");
        let checked = check(&site);
        let expected = [loaded, keyed, everywhere, reached || !loaded];
        assert_eq!(checked.met, expected, "{options}{}", checked.text);
        assert_eq!(checked.success, all);
        if !all {
            assert!(checked.text.contains("configutil -o "), "{}", checked.text);
            let mut talk = server.select("fred");
            talk.say("a IDLE\r\n");
            let refused = talk.line();
            // Without a broker sessions may idle: the broker may come.
            let possible = loaded && keyed && everywhere;
            assert_eq!(refused.starts_with("+ "), possible, "{refused}");
        }
    }
}

pub struct Checked {
    met: Vec<bool>,
    pub text: String,
    success: bool,
}

/// What `imapd --check` says.
pub fn check(site: &Site) -> Checked {
    let output = Command::new(env!("CARGO_BIN_EXE_imapd"))
        .arg("--base")
        .arg(site.folder.path())
        .arg("--check")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let conditions = text.lines().filter(|line| line.contains("met: "));
    Checked {
        met: conditions.map(|line| line.starts_with("met: ")).collect(),
        success: output.status.success(),
        text,
    }
}

#[test]
fn sessions_stay_and_are_told_while_the_broker_is_away() {
    let site = Site::new("ens.embedded = no\n");
    let server = site.start();
    assert!(!offers_idle(&server));
    let running = broker(server.ens.port());
    until(&server, true);
    let mut idle = server.idle("fred");
    running.stop();
    until(&server, false);
    let capabilities = Talk::to(server.imap).ask_after_greeting("a CAPABILITY");
    assert!(!capabilities[0].contains(" IDLE"), "{capabilities:?}");
    assert!(server.deliver(&["fred"], "Subject: a\r\n\r\nb")[0].starts_with("250"));
    assert_eq!(idle.line(), "* 1 EXISTS");
    assert_eq!(idle.line(), "* 1 RECENT");
    let running = broker(server.ens.port());
    until(&server, true);
    assert!(server.deliver(&["fred"], "Subject: a\r\n\r\nb")[0].starts_with("250"));
    assert_eq!(idle.line(), "* 2 EXISTS");
    running.stop();
}

#[test]
fn plug_ins_that_fail_are_refused_and_the_server_runs() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let faults = [
        (
            "nothing",
            "int other(void) { return 0; }",
            "ensign_plugin_init",
        ),
        (
            "old",
            "int ensign_plugin_init(void *h, unsigned *p, char *e, unsigned long n)\n\
          { (void)h; (void)e; (void)n; *p = 77; return 0; }",
            "it has ABI 77, this server has 1",
        ),
        (
            "refuses",
            "#include <string.h>\n\
          int ensign_plugin_init(void *h, void *p, char *e, unsigned long n)\n\
          { (void)h; (void)p; strncpy(e, \"no licence\", n); return 1; }",
            "no licence",
        ),
        (
            "crashes",
            "#include <stdlib.h>\nint ensign_plugin_init(void) { abort(); }",
            "it crashed",
        ),
        (
            "exits",
            "#include <stdlib.h>\nint ensign_plugin_init(void) { exit(0); }",
            "it ended",
        ),
    ];
    for (name, source, reason) in faults {
        let c = folder.path().join(name).with_extension("c");
        std::fs::write(&c, source).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(c.with_extension("so"))
            .arg(&c)
            .status();
        assert!(built.unwrap().success());
        let library = c.with_extension("");
        let site = Site::new(&format!(
            "local.store.notifyplugin = {}\n",
            library.display()
        ));
        let server = site.start();
        assert!(!offers_idle(&server), "{name}");
        server.select("fred").ask("a NOOP");
        let checked = check(&site);
        assert_eq!(checked.met, [false, true, true, true], "{}", checked.text);
        assert!(checked.text.contains(reason), "{}", checked.text);
    }
}
