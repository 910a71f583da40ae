//! The programs, as people run them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::talk::Site;

#[test]
fn what_apub_is_told_asub_prints() {
    let site = Site::new();
    let port = site.address.port().to_string();
    let mut asub = Command::new(env!("CARGO_BIN_EXE_asub"))
        .args(["127.0.0.1", &port])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(asub.stdout.take().unwrap()).lines();
    assert_eq!(printed.next().unwrap().unwrap(), "Subscription successful");
    let mut apub = Command::new(env!("CARGO_BIN_EXE_apub"))
        .args(["127.0.0.1", &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    apub.stdin
        .take()
        .unwrap()
        .write_all(b"hello\n\nthere\n.\nnot this\n")
        .unwrap();
    assert!(apub.wait().unwrap().success());
    for line in ["hello", "(null)", "there"] {
        let expected = format!("[enp://127.0.0.1/store] {line}");
        assert_eq!(printed.next().unwrap().unwrap(), expected);
    }
    asub.kill().unwrap();
    asub.wait().unwrap();
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
