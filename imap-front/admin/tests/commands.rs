//! The commands as an administrator runs them, in a base directory of their own.
//!
//! The server is played by a copy of bash, so that it is the process that `lib/imapd` names.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAMS: [(&str, &str); 6] = [
    ("watcher", env!("CARGO_BIN_EXE_watcher")),
    ("start-msg", env!("CARGO_BIN_EXE_start-msg")),
    ("stop-msg", env!("CARGO_BIN_EXE_stop-msg")),
    ("refresh", env!("CARGO_BIN_EXE_refresh")),
    ("configutil", env!("CARGO_BIN_EXE_configutil")),
    ("msguser", env!("CARGO_BIN_EXE_msguser")),
];

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["sbin", "lib", "config"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        // Its folder may be closed to others.
        fs::write(
            folder.path().join("config/msg.conf.defaults"),
            "service.user = root\n",
        )
        .unwrap();
        for (name, program) in PROGRAMS {
            // A copy made here could still be open for writing in a child of another test.
            let below = if name == "watcher" { "lib" } else { "sbin" };
            fs::hard_link(program, folder.path().join(below).join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("sbin").join(program));
        command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        told(self.command(program, arguments).output().unwrap())
    }

    /// Makes `lib/imapd` a shell that runs `script`; gives the environment it needs.
    fn server(&self, script: &str) -> (&'static str, PathBuf) {
        let fresh = self.path("lib/imapd.new");
        let copied = Command::new("cp")
            .arg("/bin/bash")
            .arg(&fresh)
            .status()
            .unwrap();
        assert!(copied.success());
        fs::rename(fresh, self.path("lib/imapd")).unwrap();
        fs::write(self.path("script"), script).unwrap();
        ("BASH_ENV", self.path("script"))
    }

    /// The number of the process that is a service.
    fn pid(&self, program: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("run/{program}.pid"))).unwrap();
        text.lines().next().unwrap().to_owned()
    }

    fn start(&self, script: &str) -> (Option<i32>, String, String) {
        let (name, value) = self.server(script);
        // A shell can't trap what was ignored when it began, as under nohup.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP");
        command.arg(self.path("sbin/start-msg")).arg("imap");
        let output = command
            .current_dir("/")
            .stdin(Stdio::null())
            .env(name, value);
        told(output.output().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.path("run").exists() {
            let _ = self.command("stop-msg", &["-f"]).output();
        }
    }
}

fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server that serves until SIGTERM and says so when it gets SIGHUP.
const GOOD: &str = "trap 'exit 0' TERM
trap 'cat answer >run/answer; mv run/answer run/imapd.refreshed' HUP
echo 'imap listening on 127.0.0.1:40143' >&$ENSIGN_READY_FD
echo 'lmtp listening on 127.0.0.1:40024' >&$ENSIGN_READY_FD
echo ready >&$ENSIGN_READY_FD
while :; do sleep 1 & wait $!; done
";

fn is_alive(pid: &str) -> bool {
    // A dead process whose parent has not noticed is dead too.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn start_refresh_and_stop() {
    let site = Site::new();
    let (code, out, err) = site.start(GOOD);
    assert_eq!(code, Some(0), "{out}{err}");
    let pid = site.pid("imapd");
    let pid = &*pid;
    assert_eq!(
        out,
        format!(
            "Starting imap server .... {pid}\n  imap listening on 127.0.0.1:40143\n  \
             lmtp listening on 127.0.0.1:40024\n"
        )
    );
    assert!(is_alive(pid));
    // The server has a session of its own, so closing the terminal does not end it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    assert_eq!(after_name.split_whitespace().nth(3), Some(pid));
    let (code, _, err) = site.start(GOOD);
    assert_eq!(
        (code, err),
        (
            Some(1),
            format!("start-msg: imap server is already running, pid {pid}\n")
        )
    );
    fs::write(site.path("answer"), "").unwrap();
    let (code, _, err) = site.run("refresh", &[]);
    assert_eq!((code, &*err), (Some(0), ""));
    fs::write(site.path("answer"), "the certificates are kept\n").unwrap();
    let (code, _, err) = site.run("refresh", &[]);
    let kept = "refresh: imap: the certificates are kept\n";
    assert_eq!((code, &*err), (Some(1), kept));
    let (code, out, _) = site.run("stop-msg", &[]);
    assert_eq!(
        (code, out),
        (Some(0), format!("Stopping imap server {pid} ... done\n"))
    );
    assert!(!is_alive(pid));
    assert!(!site.path("run/imapd.pid").exists());
    let (code, out, _) = site.run("stop-msg", &["imap"]);
    assert_eq!((code, &*out), (Some(0), "imap server is not running\n"));
    assert_eq!(site.run("refresh", &[]).0, Some(1));
}

#[test]
fn a_server_that_ignores_sigterm_is_killed_on_demand() {
    let site = Site::new();
    let stubborn = GOOD.replace("trap 'exit 0' TERM", "trap '' TERM");
    assert_eq!(site.start(&stubborn).0, Some(0));
    let (code, _, err) = site.run("stop-msg", &["--timeout", "0"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("stop-msg -f"), "{err}");
    assert_eq!(site.run("stop-msg", &["-f"]).0, Some(0));
}

#[test]
fn a_stale_process_id_does_not_matter() {
    let site = Site::new();
    fs::create_dir(site.path("run")).unwrap();
    fs::write(site.path("run/imapd.pid"), std::process::id().to_string()).unwrap();
    assert_eq!(site.run("stop-msg", &[]).1, "imap server is not running\n");
    fs::write(site.path("run/imapd.pid"), std::process::id().to_string()).unwrap();
    assert_eq!(site.start(GOOD).0, Some(0));
}

#[test]
fn a_server_that_can_not_start_says_why() {
    let site = Site::new();
    let (code, _, err) = site.start("echo 'error: port 143 is taken' >&$ENSIGN_READY_FD; exit 1");
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "start-msg: imap server did not start: port 143 is taken\n"
    );
    assert!(!site.path("run/imapd.pid").exists());
    let (code, _, err) = site.start("echo 'no good' >&2; exit 3");
    assert_eq!(code, Some(1));
    assert!(
        err.contains("exit status: 3") && err.contains("imapd.out says: no good"),
        "{err}"
    );
    let (name, value) = site.server("exec sleep 60");
    let slow = site
        .command("start-msg", &["--timeout", "0", "imap"])
        .env(name, value)
        .output()
        .unwrap();
    let (code, _, err) = told(slow);
    assert_eq!(code, Some(1));
    assert!(err.contains("not ready after 0 s"), "{err}");
}

#[test]
fn bad_configuration_stops_before_the_server() {
    let site = Site::new();
    fs::write(site.path("config/msg.conf"), "service.imap.prot = 1\n").unwrap();
    let (code, out, err) = site.start(GOOD);
    assert_eq!((code, &*out), (Some(1), ""));
    assert_eq!(err.lines().count(), 1);
    assert!(
        err.contains("msg.conf, line 1: ") && err.contains("service.imap.port?"),
        "{err}"
    );
    assert_eq!(site.run("configutil", &["-V"]).0, Some(1));
    fs::write(site.path("config/msg.conf"), "service.imap.enable = no\n").unwrap();
    assert_eq!(site.start(GOOD).0, Some(1));
    let disabled = "service.imap.enable = no\nlocal.ens.enable = no\nlocal.watcher.enable = no\n";
    fs::write(site.path("config/msg.conf"), disabled).unwrap();
    assert_eq!(site.run("start-msg", &[]).0, Some(0));
    assert_eq!(site.run("start-msg", &["mta"]).0, Some(2));
}

#[test]
fn configutil_shows_and_changes() {
    let site = Site::new();
    let run = |arguments: &[&str]| site.run("configutil", arguments);
    assert_eq!(
        run(&["-o", "service.imap.port"]),
        (Some(0), "143\n".into(), String::new())
    );
    assert_eq!(run(&["-o", "Service.IMAP.port", "-v", "1143"]).0, Some(0));
    assert_eq!(run(&["-o", "service.imap.port"]).1, "1143\n");
    assert_eq!(
        run(&["-o", "store.defaultmailboxquota", "-v", "-1"]).0,
        Some(0)
    );
    let (code, out, err) = run(&["-o", "service.imap.port", "-v", "70000"]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(err.contains("from 0 to 65535"), "{err}");
    assert_eq!(run(&["-o", "service.imap.prot"]).0, Some(1));
    assert_eq!(run(&["-v", "1"]).0, Some(2));
    assert_eq!(run(&["-o", "service.imap.port", "-d"]).0, Some(0));
    assert_eq!(run(&["-o", "service.imap.port"]).1, "143\n");
    let listing = run(&["-p", "lmtp.overquota", "-m", "-H"]).1;
    assert!(
        listing.starts_with("service.lmtp.overquota = permanent [REFRESHABLE]\n"),
        "{listing}"
    );
    assert!(listing.contains("over quota is refused"));
    assert_eq!(run(&[]).1.lines().count(), admin::config::options().count());
    let verified = run(&["-V"]).1;
    assert!(
        verified.starts_with("OK\nnot met: the notification plug-in is loaded\n"),
        "{verified}"
    );
    assert!(verified.ends_with("IDLE is not offered\n"), "{verified}");
    assert_eq!(run(&["--write-defaults"]).0, Some(0));
    assert!(site.path("config/msg.conf.defaults").exists());
}

#[test]
fn configutil_imports_all_or_nothing() {
    let site = Site::new();
    let list = site.path("list");
    let import = || site.run("configutil", &["-i", list.to_str().unwrap()]);
    fs::write(
        &list,
        "service.imap.port=1143\nservice.imap.idletimeout=1\n",
    )
    .unwrap();
    let (code, _, err) = import();
    assert_eq!(code, Some(1));
    assert!(err.contains("list, line 2: "), "{err}");
    assert_eq!(
        site.run("configutil", &["-o", "service.imap.port"]).1,
        "143\n"
    );
    fs::write(
        &list,
        "service.imap.port=1143\nservice.imap.banner=\"a b\"\n",
    )
    .unwrap();
    assert_eq!(import().0, Some(0));
    assert_eq!(
        site.run("configutil", &["-o", "service.imap.banner"]).1,
        "a b\n"
    );
}

fn with_input(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    told(child.wait_with_output().unwrap())
}

#[test]
fn msguser_adds_lists_and_deletes() {
    let site = Site::new();
    let add = site.command(
        "msguser",
        &["add", "Ann", "--password-stdin", "--quota", "-1"],
    );
    assert_eq!(
        with_input(add, "sécret\n"),
        (Some(0), String::new(), String::new())
    );
    let again = site.command("msguser", &["add", "ann", "--password-stdin"]);
    assert_eq!(with_input(again, "x\n").2, "msguser: the user ann exists\n");
    assert_eq!(site.run("msguser", &["add", "bob"]).0, Some(1));
    assert_eq!(site.run("msguser", &["list"]).1, "ann\n");
    assert_eq!(
        site.run("msguser", &["list", "-l"]).1,
        "ann\tunlimited\tdefault\n"
    );
    let path = site.path("config/users");
    verify(&path, "sécret", true);
    let passwd = site.command("msguser", &["passwd", "ann", "--password-stdin"]);
    assert_eq!(with_input(passwd, "other\n").0, Some(0));
    verify(&path, "sécret", false);
    verify(&path, "other", true);
    fs::write(site.path("list"), "cat:meow\nAnn:x\n").unwrap();
    let list = site.path("list");
    let import = site.run(
        "msguser",
        &["import", list.to_str().unwrap(), "--scheme", "ssha256"],
    );
    assert_eq!(import.0, Some(1));
    assert!(
        import.2.contains("list, line 2: the user ann exists"),
        "{}",
        import.2
    );
    assert_eq!(site.run("msguser", &["delete", "ann"]).0, Some(0));
    assert_eq!(site.run("msguser", &["delete", "ann"]).0, Some(1));
    let import = site.run(
        "msguser",
        &["import", list.to_str().unwrap(), "--scheme", "ssha256"],
    );
    assert_eq!(import.1, "added 2 users\n");
    assert_eq!(site.run("msguser", &["list"]).1, "cat\nann\n");
}

fn verify(path: &Path, password: &str, expected: bool) {
    let users = admin::Users::open(path).unwrap();
    let login = admin::users::Login::new(users.into(), 1);
    assert_eq!(
        login.verify("ann", password.as_bytes()).unwrap().is_some(),
        expected
    );
}

impl Site {
    /// A site whose servers are played by a small program.
    fn with_all() -> Self {
        let site = Self::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in/server.c");
        for program in ["enpd", "imapd"] {
            let mut compile = Command::new("cc");
            compile
                .arg(&source)
                .arg("-o")
                .arg(site.path("lib").join(program));
            assert!(compile.status().unwrap().success());
        }
        site
    }

    fn start_all(&self, arguments: &[&str], access: Option<&str>) -> (Option<i32>, String, String) {
        let mut command = self.command("start-msg", arguments);
        command.env_remove("ENS_ACCESS");
        if let Some(access) = access {
            command.env("ENS_ACCESS", access);
        }
        told(command.output().unwrap())
    }

    /// SIGKILL, and until they are gone.
    fn kill(&self, programs: &[&str]) {
        let pids: Vec<String> = programs.iter().map(|program| self.pid(program)).collect();
        let killed = Command::new("kill").arg("-9").args(&pids).status().unwrap();
        assert!(killed.success());
        while pids.iter().any(|pid| is_alive(pid)) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[test]
fn after_all_were_killed_start_msg_starts_all() {
    let site = Site::with_all();
    for (round, arguments) in [&[][..], &["ha"], &[], &["ha"]].into_iter().enumerate() {
        let (code, out, err) = site.start_all(arguments, None);
        assert_eq!((code, &*err), (Some(0), ""), "round {round}: {out}");
        for program in ["watcher", "enpd", "imapd"] {
            assert!(is_alive(&site.pid(program)), "round {round}: {program}");
        }
        site.kill(&["watcher", "enpd", "imapd"]);
    }
    // A watcher that would give up at once is not started.
    let (code, _, err) = site.start_all(&["watcher", "ha"], None);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("has died; high availability: giving up"),
        "{err}"
    );
}

#[test]
fn a_broker_that_can_not_start_keeps_nobody_from_mail() {
    let site = Site::with_all();
    for file in ["taken", "partial"] {
        fs::write(site.path(file), "").unwrap();
    }
    let (code, out, err) = site.start_all(&[], None);
    assert_eq!(code, Some(1), "{out}{err}");
    let expected = "start-msg: ens server did not start: port 7997 is taken\n\
                    start-msg: a part did not start\n";
    assert_eq!(err, expected);
    assert!(is_alive(&site.pid("imapd")));
}

#[test]
fn the_brokers_rules_hold_until_others_are_given() {
    let site = Site::with_all();
    let seen = || fs::read_to_string(site.path("access")).unwrap_or_default();
    let revived = |count: usize| {
        while seen().lines().count() < count {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    assert_eq!(site.start_all(&[], Some("+10.0.0.1|255.0.0.0")).0, Some(0));
    assert_eq!(site.run("stop-msg", &["ens"]).0, Some(0));
    let (code, _, err) = site.start_all(&["ens"], Some("+127.0.0.1|255.255.255.255"));
    assert_eq!(code, Some(0), "{err}");
    // The watcher was started with the older rules.
    site.kill(&["enpd"]);
    revived(3);
    assert_eq!(
        seen().lines().skip(1).collect::<Vec<_>>(),
        ["+127.0.0.1|255.255.255.255"; 2]
    );
}
