//! The commands as an administrator runs them, in a base directory of their own.
//!
//! The server is played by a copy of bash, so that it is the process that `lib/imapd` names.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAMS: [(&str, &str); 5] = [
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
        for (name, program) in PROGRAMS {
            // A copy made here could still be open for writing in a child of another test.
            fs::hard_link(program, folder.path().join("sbin").join(name)).unwrap();
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

    fn start(&self, script: &str) -> (Option<i32>, String, String) {
        let (name, value) = self.server(script);
        told(
            self.command("start-msg", &["imap"])
                .env(name, value)
                .output()
                .unwrap(),
        )
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.path("run/imapd.pid").exists() {
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
trap 'echo refreshed' HUP
echo 'imap listening on 127.0.0.1:40143' >&$ENSIGN_READY_FD
echo 'lmtp listening on 127.0.0.1:40024' >&$ENSIGN_READY_FD
echo ready >&$ENSIGN_READY_FD
while :; do read -t 1 line <> <(:); done
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
    let pid = fs::read_to_string(site.path("run/imapd.pid")).unwrap();
    let pid = pid.trim();
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
    assert_eq!(site.run("refresh", &[]).0, Some(0));
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
