//! A C compiler, and a broker.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::server::{Options, Running, start};
use tempfile::TempDir;

/// The folder of this crate.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `libibiff.so` as cargo has built it for these tests.
pub fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let library = program.parent().unwrap().join("libibiff.so");
    assert!(library.exists(), "{library:?}");
    library
}

pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A compiler with all warnings on, and errors.
pub fn cc() -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-g", "-pthread", "-I"])
        .arg(root().join("include"));
    cc
}

/// Compiles a program.
pub fn compile(source: &Path, folder: &TempDir) -> PathBuf {
    let program = folder.path().join(source.file_stem().unwrap());
    let library = library();
    let status = cc()
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg(&library)
        .arg(format!(
            "-Wl,-rpath,{}",
            library.parent().unwrap().display()
        ))
        .status();
    assert!(status.unwrap().success(), "{source:?}");
    program
}

pub struct Broker {
    running: Option<Running>,
    pub port: String,
}

impl Broker {
    pub fn new() -> Self {
        let mut options = Options {
            broker: BrokerConfig::new(Access::parse("").unwrap(), 0),
            ..Options::default()
        };
        // Somebody may take the port in between.
        let start = || {
            let free = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
            let address = free.local_addr().ok()?;
            drop(free);
            options.tcp = Some(address);
            Some((start(&options).ok()?, address.port().to_string()))
        };
        let (running, port) = std::iter::repeat_with(start)
            .take(10)
            .flatten()
            .next()
            .unwrap();
        Self {
            running: Some(running),
            port,
        }
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program and what it says.
pub struct Program {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line; empty at the end.
    pub fn line(&mut self) -> String {
        self.lines.next().map_or(String::new(), Result::unwrap)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
