//! The examples that are installed.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::build::{Broker, Program, cc, compile, folder, root};

const KEY: &str = "enp://127.0.0.1/store";

#[test]
fn what_apub_publishes_asub_prints() {
    let (folder, broker) = (folder(), Broker::new());
    let [asub, apub] =
        ["asub.c", "apub.c"].map(|name| compile(&root().join("examples").join(name), &folder));
    for program in [&asub, &apub] {
        let wrong = Command::new(program).arg("localhost").output().unwrap();
        assert_eq!(wrong.status.code(), Some(5));
        assert!(wrong.stderr.starts_with(b"Usage:"));
        let nobody = Command::new(program)
            .args(["127.0.0.1", "1"])
            .output()
            .unwrap();
        assert_eq!(nobody.status.code(), Some(1));
    }
    let mut asub = Program::start(Command::new(asub).args(["127.0.0.1", &broker.port]));
    assert_eq!(asub.line(), "Subscription successful");
    let mut apub = Command::new(apub)
        .args(["127.0.0.1", &broker.port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut typed = apub.stdin.take().unwrap();
    typed.write_all(b"Hello, world\n\n.\n").unwrap();
    assert_eq!(asub.line(), format!("[{KEY}] Hello, world"));
    assert_eq!(asub.line(), format!("[{KEY}] (null)"));
    assert!(apub.wait().unwrap().success());
}

#[test]
fn the_newer_pair_the_unreliable_publisher_and_a_link() {
    let (folder, broker) = (folder(), Broker::new());
    let program = |name: &str| {
        let program = compile(&root().join("examples").join(name), &folder);
        let mut command = Command::new(program);
        command.args(["127.0.0.1", &broker.port]);
        command
    };
    let mut sub = Program::start(program("ens_sub.c").arg(KEY));
    assert_eq!(sub.line(), "subscribed");
    assert!(
        program("ens_pub.c")
            .args([KEY, "now"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(sub.line(), format!("[{KEY}] now"));
    assert!(
        program("upub.c")
            .args([KEY, "100"])
            .status()
            .unwrap()
            .success()
    );
    for number in 0..100 {
        assert_eq!(sub.line(), format!("[{KEY}] {number}"));
    }
    let renl = program("renl.c").output().unwrap();
    let said = String::from_utf8(renl.stdout).unwrap();
    assert!(said.contains("acknowledged - status 0"), "{said}");
    assert!(renl.status.success());
}

#[test]
fn a_plug_in_of_ones_own_compiles() {
    let folder = folder();
    let status = cc()
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.path().join("log_plugin.so"))
        .arg(root().join("examples/log_plugin.c"))
        .status();
    assert!(status.unwrap().success());
}
