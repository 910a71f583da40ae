//! The programs, as people run them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::talk::Site;

/// The first lines that `asub` prints of what `apub` is told, at a broker of this host.
fn printed(port: &str, told: &str, lines: usize) -> Vec<String> {
    let mut asub = Command::new(env!("CARGO_BIN_EXE_asub"))
        .args(["127.0.0.1", port])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(asub.stdout.take().unwrap()).lines();
    assert_eq!(printed.next().unwrap().unwrap(), "Subscription successful");
    let mut apub = Command::new(env!("CARGO_BIN_EXE_apub"))
        .args(["127.0.0.1", port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = apub.stdin.take().unwrap();
    input.write_all(told.as_bytes()).unwrap();
    drop(input);
    assert!(apub.wait().unwrap().success());
    let heard = printed.take(lines).map(Result::unwrap).collect();
    asub.kill().unwrap();
    asub.wait().unwrap();
    heard
}

#[test]
fn what_apub_is_told_asub_prints() {
    let site = Site::new();
    let port = site.address.port().to_string();
    let printed = printed(&port, "hello\n\nthere\n.\nnot this\n", 3);
    let expected = ["hello", "(null)", "there"];
    assert_eq!(
        printed,
        expected.map(|line| format!("[enp://127.0.0.1/store] {line}"))
    );
}

#[test]
fn wrong_arguments_are_exit_code_5_and_no_broker_1() {
    for program in [env!("CARGO_BIN_EXE_apub"), env!("CARGO_BIN_EXE_asub")] {
        for (arguments, code) in [
            (&["localhost"][..], 5),
            (&["localhost", "x"], 5),
            (&["--frob", "localhost", "1"], 5),
            (&["127.0.0.1", "1"], 1),
        ] {
            let output = Command::new(program).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{program} {arguments:?}");
            assert!(!output.stderr.is_empty());
        }
    }
}

#[test]
fn enpd_says_who_may_connect_and_by_which_rule() {
    let check = |rules: Option<&str>, address: &str| {
        let mut enpd = Command::new(env!("CARGO_BIN_EXE_enpd"));
        enpd.args(["--check-access", address])
            .env_remove("ENS_ACCESS");
        if let Some(rules) = rules {
            enpd.env("ENS_ACCESS", rules);
        }
        let output = enpd.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    };
    let rules = "+192.168.0.1|255.255.255.0;-192.168.0.17;255.255.255.255";
    let (code, said) = check(Some(rules), "192.168.0.17");
    assert_eq!(code, 1);
    assert!(
        said.contains("denied (rule 2, -192.168.0.17|255.255.255.255)"),
        "{said}"
    );
    assert_eq!(check(Some(rules), "192.168.0.16").0, 0);
    assert_eq!(check(None, "127.0.0.1").0, 0);
    let (code, said) = check(Some("+nonsense"), "127.0.0.1");
    assert_eq!(code, 2);
    assert!(said.contains("rule 1"), "{said}");
}

#[test]
fn enpd_refuses_rules_that_it_can_not_read() {
    let output = Command::new(env!("CARGO_BIN_EXE_enpd"))
        .env("ENS_ACCESS", "+127.0.0.1|255.255.255.255;deny all")
        .args(["--port", "0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("rule 2") && said.contains("deny all"),
        "{said}"
    );
}

/// A broker that is about to serve, and what it says.
pub fn enpd(options: &[&str]) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut enpd = Command::new(env!("CARGO_BIN_EXE_enpd"));
    enpd.args(["--listen", "127.0.0.1", "--shards", "2"]);
    enpd.args(options).env_remove("ENSIGN_READY_FD");
    let mut enpd = enpd.stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(enpd.stdout.take().unwrap());
    (enpd, said)
}

/// A field of the status of each of its threads, once it has the value or some seconds are over.
fn of_threads(pid: u32, name: &str, value: &str) -> Vec<String> {
    for _ in 0..100 {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let fields = tasks.flatten().filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().to_owned())
        });
        let fields: Vec<String> = fields.collect();
        if fields.iter().all(|field| field == value) {
            return fields;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{name} is not {value} in each thread of {pid}");
}

#[test]
fn enpd_gives_up_what_it_does_not_need_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ens");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let options = ["--port", &port, "--socket", socket.to_str().unwrap()];
    let (mut child, said) = enpd(&options);
    assert!(
        said.lines()
            .map_while(Result::ok)
            .any(|line| line == "ready")
    );
    for (name, value) in [("Seccomp:", "2"), ("NoNewPrivs:", "1")] {
        assert!(of_threads(child.id(), name, value).len() >= 3);
    }
    // It has no files, and its listeners are there: clients come, are told, and go.
    assert!(printed(&port, "hello\n.\n", 1)[0].ends_with("hello"));
    assert!(socket.exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!socket.exists(), "it is removed at the end");
}

#[test]
fn what_enpd_gives_up_can_be_kept() {
    let (mut child, said) = enpd(&["--port", "0", "--no-landlock", "--no-seccomp"]);
    assert!(
        said.lines()
            .map_while(Result::ok)
            .any(|line| line == "ready")
    );
    of_threads(child.id(), "Seccomp:", "0");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn strangers_do_not_fill_the_log_of_enpd() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = fs::File::create(&log).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut child = Command::new(env!("CARGO_BIN_EXE_enpd"))
        .args(["--listen", "127.0.0.1", "--shards", "2"])
        .args(["--port", &address.port().to_string()])
        .env_remove("ENSIGN_READY_FD")
        .env("ENS_ACCESS", "-127.0.0.1|255.255.255.255")
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let mut turned_away = 0;
    while turned_away < 300 {
        match TcpStream::connect(address) {
            Ok(mut stranger) => {
                // The end, in whatever way, is all it hears.
                let _ = stranger.read(&mut [0]);
                turned_away += 1;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(&log).unwrap();
    let lines = log
        .lines()
        .filter(|line| line.contains("refused 127.0.0.1"));
    let lines = lines.count();
    assert!((1..100).contains(&lines), "{lines} lines: {log}");
}
