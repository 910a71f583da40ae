//! A program that uses every function.

use std::path::Path;
use std::process::Command;

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
