//! The stage of the guide's page: "To Configure IMAP IDLE", done step by step in a C shell in a
//! fresh base directory, as printed; then with each step left out, and with each step wrong.

mod steps;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::base::Base;
use crate::count::Count;
use crate::install::Profile;
use crate::paths;
use steps::{ALL_BUT_ONE, CASES, Case, PRINTED, Seen};

/// Addresses, and whether the second example of step 1 lets them in.
const WHO: [(&str, bool); 6] = [
    ("127.0.0.1", true),
    ("127.0.0.2", false),
    ("192.168.0.1", true),
    ("192.168.0.16", true),
    ("192.168.0.17", false),
    ("192.168.1.1", false),
];

/// Does every case.
pub fn run() -> Result<Count> {
    let base = Base::bare(paths::target().join("page"), Profile::current())?;
    let mut count = Count::default();
    for case in &CASES {
        match check(&base, case) {
            Ok(()) => {
                println!("PASS {}", case.name);
                count.passed += 1;
            }
            Err(failure) => {
                println!("FAIL {}: {failure:#}", case.name);
                count.failed += 1;
            }
        }
        base.stop_all()?;
    }
    sentences(&base)?;
    count.passed += 1;
    Ok(count)
}

/// Does the steps of a case where a server runs that knows nothing of them, and looks.
fn check(base: &Base, case: &Case) -> Result<()> {
    base.reset()?;
    let port = base.take_free_ports()?;
    base.start_all()?;
    let steps = (1..).zip(PRINTED).map(|(number, printed)| {
        let other = case.instead.iter().find(|(step, _)| *step == number);
        other.map_or(printed, |(_, text)| text)
    });
    let said = in_c_shell(base, &steps.collect::<Vec<_>>().join("\n"))?;
    let greeting = greeting(port);
    let offered = greeting.as_ref().map(|greeting| offers_idle(greeting));
    let checked = Command::new(base.folder().join("lib/imapd"))
        .arg("--check")
        .output()?;
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    let told = || format!("{said}\n{greeting:?}\n{checked}");
    match case.seen {
        Seen::Idle => {
            ensure!(offered == Some(Ok(true)), "no IDLE:\n{}", told());
            ensure!(checked.ends_with("IDLE is offered\n"), "{}", told());
        }
        Seen::NoIdle(why) => {
            ensure!(offered == Some(Ok(false)), "IDLE, or nobody:\n{}", told());
            ensure!(checked.contains(why), "{why:?} is not said:\n{}", told());
        }
        Seen::Nobody(why) => {
            ensure!(greeting.is_none(), "somebody greets:\n{}", told());
            ensure!(said.contains(why), "{why:?} is not said:\n{}", told());
        }
    }
    Ok(())
}

/// What the steps say, on both outputs.
fn in_c_shell(base: &Base, steps: &str) -> Result<String> {
    let root = base
        .folder()
        .to_str()
        .context("the base's path is no text")?;
    let script = base.folder().join("run/steps.csh");
    let mut text = steps.replace("msg-svr-base", root);
    text.push('\n');
    std::fs::write(&script, text)?;
    let output = Command::new("tcsh")
        .arg("-f")
        .arg(&script)
        .env_remove("ENS_ACCESS")
        .current_dir("/")
        .output()
        .context("cannot run tcsh")?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// Step 7: what telnet shows of the server's first line; none if nobody answers.
fn greeting(port: u16) -> Option<String> {
    let mut telnet = Command::new("telnet")
        .args(["127.0.0.1", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let shown = BufReader::new(telnet.stdout.take()?);
    let mut lines = shown.lines().map_while(Result::ok);
    let greeting = lines.find(|line| line.starts_with("* "));
    if let Some(typed) = &mut telnet.stdin {
        // Nobody may be there.
        let _ = typed.write_all(b"a LOGOUT\r\n");
    }
    let _ = telnet.wait();
    greeting
}

/// Whether a greeting has IDLE among its capabilities; or it doesn't have the page's form.
fn offers_idle(greeting: &str) -> Result<bool, String> {
    let parts = greeting
        .strip_prefix("* OK [CAPABILITY ")
        .and_then(|rest| rest.split_once("] "));
    let (capabilities, text) = parts.ok_or("it has no capabilities")?;
    let product = format!(
        " IMAP4 service (Ensign {} (built ",
        env!("CARGO_PKG_VERSION")
    );
    let (host, built) = text.split_once(&product).ok_or("it has no banner")?;
    if built.strip_suffix("))").is_none_or(str::is_empty) {
        return Err(format!("{built:?} is no date"));
    }
    if host.is_empty() || host.contains(' ') {
        return Err(format!("{host:?} is no host"));
    }
    Ok(capabilities.split(' ').any(|it| it == "IDLE"))
}

/// The sentence before the second example of step 1: who may connect.
fn sentences(base: &Base) -> Result<()> {
    for (address, allowed) in WHO {
        let asked = format!("{ALL_BUT_ONE}\nmsg-svr-base/lib/enpd --check-access {address}");
        let said = in_c_shell(base, &asked)?;
        let word = if allowed { "allowed" } else { "denied" };
        if !said.starts_with(&format!("{address}: {word} (")) {
            bail!("{address} is not {word}: {said}");
        }
    }
    println!(
        "PASS {} addresses against the second example of step 1",
        WHO.len()
    );
    Ok(())
}
