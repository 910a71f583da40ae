//! A plug-in that crashes, and one whose events are not enabled.

use std::process::Command;

use ibiff::biff::Event;
use ibiff::host::{Calls, Loaded};

use crate::build::{cc, folder, root};

/// Where the process that is to crash finds the plug-in.
const LIBRARY: &str = "CRASHING_PLUG_IN";

/// A host with one option.
struct Host(Option<(&'static str, &'static str)>);

impl Calls for Host {
    fn option(&self, name: &str) -> Option<String> {
        let (have, value) = self.0?;
        (have == name).then(|| value.to_owned())
    }
    fn publish(&self, _: &str, _: &[u8]) {}
    fn log(&self, _: &str) {}
}

fn event(kind: &str) -> Event<'_> {
    Event {
        kind,
        mailbox: "mary",
        inbox: true,
        params: &[],
        header: b"",
        body: b"",
    }
}

/// Nothing, unless it is the process that is to crash.
#[test]
fn a_process_that_may_crash() {
    let Ok(library) = std::env::var(LIBRARY) else {
        return;
    };
    let filtered = Host(Some(("newmsg.enable", "0")));
    let mut plug_in = Loaded::load(library.as_ref(), Box::new(filtered)).unwrap();
    plug_in.event(&event("NewMsg"));
    eprintln!("it was not told what is not enabled");
    let mut plug_in = Loaded::load(library.as_ref(), Box::new(Host(None))).unwrap();
    plug_in.event(&event("Login"));
    eprintln!("it was told the first");
    plug_in.event(&event("NewMsg"));
}

#[test]
fn what_is_not_enabled_is_not_told_and_a_crash_is_named() {
    let folder = folder();
    let library = folder.path().join("libcrashes.so");
    let status = cc()
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(root().join("tests/capi/crashes.c"))
        .status();
    assert!(status.unwrap().success());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["crash::a_process_that_may_crash", "--exact", "--nocapture"])
        .env(LIBRARY, &library)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("it was not told what is not enabled"),
        "{said}"
    );
    assert!(said.contains("it was told the first"), "{said}");
    let line = format!(
        "imapd: the notification plug-in {} crashed when it was told of NewMsg\n",
        library.display()
    );
    assert!(said.contains(&line), "{said}");
}
