//! A program that uses every function.

use std::path::Path;
use std::process::Command;

use ens::frame::Frame;

use crate::build::{Broker, Program, compile, folder, root};

fn run(command: &mut Command) {
    let mut broker = Broker::new();
    let mut program = Program::start(command.args(["127.0.0.1", &broker.port]));
    assert_eq!(program.line(), "stop");
    broker.stop();
    assert_eq!(program.line(), "all is well");
    assert!(program.child.wait().unwrap().success());
}

fn source() -> std::path::PathBuf {
    root().join("tests/capi/all.c")
}

#[test]
fn every_function_does_what_its_header_says() {
    let folder = folder();
    let program = compile(&source(), &folder);
    for _ in 0..3 {
        run(&mut Command::new(&program));
    }
}

/// A leak, a race with freed memory, or a read of what was never written would be an error.
#[test]
fn valgrind_finds_nothing() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("valgrind is not installed: nothing was tested");
        return;
    }
    let folder = folder();
    let program = compile(&source(), &folder);
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
        .args([
            "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect",
        ])
        .arg(program);
    run(&mut valgrind);
}

#[test]
fn headers_suit_cxx_and_old_c() {
    let folder = folder();
    let headers: String = [
        "ens.h",
        "publisher.h",
        "subscriber.h",
        "pasdisp.h",
        "upub.h",
    ]
    .iter()
    .chain(&["enc.h", "ensign_plugin.h"])
    .map(|name| format!("#include \"{name}\"\n"))
    .collect();
    for (name, compiler, standard) in [
        ("a.cc", "c++", "-std=c++11"),
        ("a.c", "cc", "-std=c99"),
        ("b.c", "cc", "-std=c11"),
    ] {
        let source = folder.path().join(name);
        std::fs::write(
            &source,
            format!("{headers}int main(void) {{ return 0; }}\n"),
        )
        .unwrap();
        if Command::new(compiler).arg("--version").output().is_err() {
            eprintln!("{compiler} is not installed");
            continue;
        }
        let status = Command::new(compiler)
            .args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                standard,
                "-c",
                "-o",
            ])
            .arg(folder.path().join("a.o"))
            .arg("-I")
            .arg(Path::new(root()).join("include"))
            .arg(&source)
            .status();
        assert!(status.unwrap().success(), "{name}");
    }
}

/// A broker that has not sent 5 events to whoever says something after its HELLO.
fn lagging_broker() -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut heard = vec![0; 4096];
                let welcome = Frame::Welcome {
                    version: 1,
                    payload_max: 1 << 20,
                    keepalive_s: 0,
                    scope: None,
                    name: "slow",
                };
                for answer in [welcome, Frame::Lagged { events: 5 }] {
                    let _ = stream.read(&mut heard).unwrap();
                    stream.write_all(&answer.to_bytes()).unwrap();
                }
                while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

#[test]
fn a_program_that_was_too_slow_is_told() {
    let folder = folder();
    let program = compile(&root().join("tests/capi/lagged.c"), &folder);
    let port = lagging_broker().to_string();
    let mut program = Program::start(Command::new(program).arg(port));
    let mut said = [program.line(), program.line()];
    said.sort();
    assert_eq!(said, ["ens.h 5", "subscriber.h 5"]);
    assert!(program.child.wait().unwrap().success());
}
