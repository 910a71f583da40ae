//! The administrator's tools and the running server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use admin::Base;
use admin::tools::ask::{AskError, Asker};
use admin::tools::{counterutil, deliver, imsconnutil, mboxutil};
use clap::Parser;
use rustix::process::{Resource, Rlimit};
use serde_json::{Value, json};

use crate::site::{Server, Site, Talk};

fn base(site: &Site) -> Base {
    Base::new(site.folder.path())
}

/// What a tool prints, each line an object, and its exit code.
macro_rules! tool {
    ($tool:ident, $site:expr, $($word:expr),*) => {{
        let words = [stringify!($tool), $($word),*];
        let arguments = $tool::Arguments::try_parse_from(words).unwrap();
        let mut out = vec![];
        let code = $tool::run(&base($site), &arguments, &mut out).unwrap();
        (code, lines(&out))
    }};
}

fn lines(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sessions(site: &Site) -> Vec<Value> {
    tool!(imsconnutil, site, "--json").1
}

#[test]
fn who_is_connected_is_listed() {
    let site = Site::new("service.imap.shards = 2\n");
    let server = site.start();
    let mut active = server.select("fred");
    active.ask("n NOOP");
    let mut idle: Vec<Talk> = (0..4).map(|_| server.idle("mary")).collect();
    let mut stranger = Talk::to(server.imap);
    stranger.line();
    let found = sessions(&site);
    assert_eq!(found.len(), 6, "{found:?}");
    let state = |state: &str| found.iter().filter(|it| it["state"] == state).count();
    assert_eq!(
        (state("active"), state("idle"), state("login")),
        (1, 4, 1),
        "{found:?}"
    );
    let fred = found.iter().find(|it| it["user"] == "fred").unwrap();
    assert_eq!(
        (&fred["mailbox"], &fred["address"]),
        (&json!("INBOX"), &json!("local"))
    );
    assert_eq!(fred["commands"], 3, "LOGIN, SELECT, NOOP");
    assert!(fred["seconds"].as_u64().unwrap() < 60, "{fred}");
    let parked = found.iter().find(|it| it["user"] == "mary").unwrap();
    assert_eq!(
        (&parked["mailbox"], &parked["commands"]),
        (&json!("INBOX"), &Value::Null)
    );
    // The session's name is the log's.
    let name = fred["session"].as_str().unwrap();
    while !site
        .log()
        .contains(&format!("user=\"fred\" session={name} "))
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Nobody is kicked by mistake, and a name that nobody has is one.
    let refused = |question: Value| {
        let asked = Asker::of(&base(&site)).unwrap().ask(&question, |_| Ok(()));
        asked.unwrap_err().to_string()
    };
    assert_eq!(refused(json!({ "ask": "kick" })), "whom to kick is missing");
    let unknown = "there is no user \"nobody\"";
    assert_eq!(
        refused(json!({ "ask": "sessions", "user": "nobody" })),
        unknown
    );
    assert_eq!(idle.len(), sessions_of(&site, "mary").len());
    idle.clear();
}

fn sessions_of(site: &Site, user: &str) -> Vec<Value> {
    tool!(imsconnutil, site, "-u", user, "--json").1
}

#[test]
fn sessions_are_kicked() {
    let site = Site::new("service.imap.shards = 2\n");
    let server = site.start();
    let mut active = server.select("fred");
    let mut idle: Vec<Talk> = (0..4).map(|_| server.idle("mary")).collect();
    let mut stranger = Talk::to(server.imap);
    stranger.line();
    let found = sessions_of(&site, "mary");
    let (code, kicked) = tool!(
        imsconnutil,
        &site,
        "-k",
        "-s",
        found[0]["session"].as_str().unwrap(),
        "--json"
    );
    assert_eq!((code, kicked.len()), (0, 1), "{kicked:?}");
    assert_eq!(
        tool!(imsconnutil, &site, "-k", "-u", "mary", "--json")
            .1
            .len(),
        3
    );
    for talk in &mut idle {
        assert_eq!(
            talk.line(),
            "* BYE The administrator has ended your session"
        );
        assert_eq!(talk.line(), "");
    }
    assert_eq!(
        tool!(imsconnutil, &site, "-k", "-u", "mary", "--json"),
        (1, vec![])
    );
    active.ask("n NOOP");
    assert_eq!(
        tool!(imsconnutil, &site, "-k", "-a", "192.0.2.1", "--json").0,
        1
    );
    assert_eq!(
        tool!(imsconnutil, &site, "-a", "local", "--json").1.len(),
        2
    );
    assert_eq!(
        tool!(imsconnutil, &site, "-k", "-a", "local", "--json")
            .1
            .len(),
        2
    );
    assert_eq!(
        active.line(),
        "* BYE The administrator has ended your session"
    );
    let log = || site.log();
    while log().matches("event=cut result=kicked").count() < 5 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        log().contains("event=admin result=kick user=\"mary\""),
        "{}",
        log()
    );
}

fn names(found: &[Value]) -> Vec<String> {
    let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
    found.iter().map(name).collect()
}

/// What others let fred into is not his, when his mailboxes are listed, deleted and emptied.
fn others_mailboxes_stay(site: &Site, server: &Server) {
    let mut mary = server.select("mary");
    mary.ask("a CREATE Team");
    mary.ask("b SETACL Team fred lrswipkxtea");
    let mut guest = server.select("fred");
    guest.ask(r#"a SELECT "Other Users/mary/Team""#);
    let (_, sessions) = tool!(imsconnutil, site, "-u", "fred", "--json");
    let is_there = |it: &Value| it["mailbox"] == "Team" && it["owner"] == "mary";
    assert!(sessions.iter().any(is_there), "{sessions:?}");
    assert_eq!(
        names(&tool!(mboxutil, site, "-l", "-u", "fred", "--json").1).len(),
        3
    );
    let others = "user/fred/Other Users/mary/Team";
    let asked = mboxutil::Arguments::try_parse_from(["mboxutil", "-d", others]).unwrap();
    let error = mboxutil::run(&base(site), &asked, &mut vec![]).unwrap_err();
    assert!(
        error.to_string().ends_with("name it by its owner"),
        "{error}"
    );
    assert_eq!(tool!(mboxutil, site, "--delete-all", "fred").0, 0);
    let marys = names(&tool!(mboxutil, site, "-l", "-u", "mary", "--json").1);
    assert_eq!(marys, ["user/mary", "user/mary/Team"]);
}

#[test]
fn mailboxes_and_messages_are_changed_through_the_server() {
    let site = Site::new("");
    let server = site.start();
    let mut idle = server.idle("fred");
    let message = b"From a@b Fri\nSubject: x\n\nhello\n";
    let words = ["deliver", "--json", "fred", "nobody"];
    let arguments = deliver::Arguments::try_parse_from(words).unwrap();
    let mut out = vec![];
    let code = deliver::run(&base(&site), &arguments, &mut &message[..], &mut out).unwrap();
    assert_eq!(code, 1, "nobody is nobody");
    assert_eq!(
        lines(&out),
        [json!({ "user": "fred", "mailbox": "INBOX", "uid": 1 })]
    );
    assert_eq!(idle.line(), "* 1 EXISTS", "its session hears of it");
    // A message that is refused asks nothing.
    let bad = "Subject: x\n\n{\"ask\": \"kick\", \"user\": \"fred\"}\n".repeat(3);
    let words = ["deliver", "nobody"];
    let arguments = deliver::Arguments::try_parse_from(words).unwrap();
    let done = deliver::run(&base(&site), &arguments, &mut bad.as_bytes(), &mut vec![]);
    assert_eq!(done.unwrap(), 1);
    let (code, _) = tool!(mboxutil, &site, "-c", "user/fred/Work/Now", "user/fred/Old");
    assert_eq!(code, 0);
    assert_eq!(
        tool!(mboxutil, &site, "-r", "user/fred/Old", "user/fred/Older").0,
        0
    );
    let list = || tool!(mboxutil, &site, "-l", "--json").1;
    let found = list();
    let expected = [
        "user/fred",
        "user/fred/Older",
        "user/fred/Work",
        "user/fred/Work/Now",
    ];
    assert_eq!(names(&found)[..4], expected, "{found:?}");
    assert_eq!(
        (&found[0]["messages"], &found[0]["unseen"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        tool!(
            mboxutil, &site, "-l", "-u", "fred", "-p", "Work/%", "--json"
        )
        .1
        .len(),
        1
    );
    assert_eq!(tool!(mboxutil, &site, "-d", "user/fred/Older").0, 0);
    let again = mboxutil::Arguments::try_parse_from(["mboxutil", "-d", "user/fred/Older"]).unwrap();
    let error = mboxutil::run(&base(&site), &again, &mut vec![]).unwrap_err();
    assert_eq!(error.to_string(), "user/fred/Older: no such mailbox");
    others_mailboxes_stay(&site, &server);
    let left = tool!(mboxutil, &site, "-l", "-u", "fred", "--json").1;
    assert_eq!(
        (names(&left), &left[0]["messages"]),
        (vec!["user/fred".into()], &json!(0))
    );
    assert!(
        site.log()
            .contains("event=admin result=empty user=\"fred\""),
        "{}",
        site.log()
    );
}

#[test]
fn counters_have_their_help_and_tools_say_that_no_server_runs() {
    let site = Site::bare("service.imap.shards = 2\n");
    let server = site.start();
    drop(server.select("fred"));
    let (_, all) = tool!(counterutil, &site, "--json");
    let help = |it: &Value| it["help"].as_str().unwrap().len() > 10;
    assert!(all.len() > 100 && all.iter().all(help), "{all:?}");
    let accepted = tool!(counterutil, &site, "accepted", "--json").1;
    assert_eq!(accepted[0]["value"], 1, "{accepted:?}");
    assert_eq!(accepted[0]["name"], "ensign_connections_accepted_total");
    let logins = tool!(
        counterutil,
        &site,
        "{command=\"login\",result=\"ok\"}",
        "--json"
    );
    assert_eq!(logins.1[0]["value"], 1, "{logins:?}");
    assert_eq!(
        tool!(counterutil, &site, "accepted", "--shards", "--json")
            .1
            .len(),
        2
    );
    // It is the service user's, and a question has an end.
    let socket = base(&site).control();
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let long = json!({ "ask": "x".repeat(70_000) });
    let mut asker = Asker::of(&base(&site)).unwrap();
    assert!(matches!(
        asker.ask(&long, |_| Ok(())),
        Err(AskError::Broken(_))
    ));
    // Eight at a time.
    let held: Vec<Asker> = (0..8).map(|_| Asker::of(&base(&site)).unwrap()).collect();
    let mut one_more = Asker::of(&base(&site)).unwrap();
    let refused = one_more
        .ask(&json!({ "ask": "counters" }), |_| Ok(()))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "too many tools are being served, try again"
    );
    drop(held);
    let counters = json!({ "ask": "counters" });
    let is_served = || Asker::of(&base(&site)).unwrap().ask(&counters, |_| Ok(()));
    while is_served().is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    // While the process has no descriptor left nobody is let in; then whoever waits is.
    let pid = rustix::process::Pid::from_raw(server.pid().cast_signed());
    let limit = |soft| {
        let files = Resource::Nofile;
        let hard = rustix::process::getrlimit(files).maximum;
        let limit = Rlimit {
            current: Some(soft),
            maximum: hard,
        };
        rustix::process::prlimit(pid, files, limit).unwrap()
    };
    let before = limit(3);
    // The call that waits for the next one has a descriptor already.
    drop(Asker::of(&base(&site)).unwrap());
    let mut waiting = Asker::of(&base(&site)).unwrap();
    while !site
        .log()
        .contains("an administrator's tool can't be served: ")
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    limit(before.current.unwrap());
    assert!(waiting.ask(&counters, |_| Ok(())).unwrap() > 60);
    drop(server);
    let gone = Asker::of(&base(&site)).err().unwrap().to_string();
    assert!(gone.starts_with("no server runs here: "), "{gone}");
}
