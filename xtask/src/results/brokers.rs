//! The study of event brokers side by side: Ensign's `enpd`, NATS and Redis (Debian's packages), on
//! loopback, one after the other in one run.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::base::{free_port, wait_until_listening};
use crate::install::Profile;
use crate::{packages, shell};

/// What may wait for a subscriber, in bytes, as NATS has it by default.
const PENDING_BYTES: &str = "67108864";

/// A broker that runs; dropped, it is killed.
struct Broker {
    child: Child,
    name: &'static str,
    dialect: &'static str,
    port: u16,
}

impl Broker {
    /// Starts a program; `arguments` gets the port.
    fn start(
        name: &'static str,
        dialect: &'static str,
        program: &Path,
        arguments: impl FnOnce(&str) -> Vec<String>,
    ) -> Result<Self> {
        let port = free_port()?;
        let child = Command::new(program)
            .args(arguments(&port.to_string()))
            .env_remove("ENS_ACCESS")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let broker = Self {
            child,
            name,
            dialect,
            port,
        };
        wait_until_listening(name, port)?;
        Ok(broker)
    }

    fn argument(&self) -> String {
        let Self {
            child,
            name,
            dialect,
            port,
        } = self;
        format!("{name}:{dialect}@127.0.0.1:{port}#{}", child.id())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the study; the report goes to `out`.
pub(super) fn run(load: &[&str], out: &Path) -> Result<()> {
    packages::brokers()?;
    let built = Profile::current().folder();
    let words = |text: String| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let enpd = |port: &str| {
        words(format!(
            "--listen 127.0.0.1 --port {port} --keepalive 0 --max-pending {PENDING_BYTES}"
        ))
    };
    let spinning = |port: &str| [enpd(port), words("--shards 1 --spin 5000".into())].concat();
    let nats = |port: &str| words(format!("-a 127.0.0.1 -p {port}"));
    let redis = |port: &str| {
        let mut arguments = words(format!(
            "--bind 127.0.0.1 --port {port} --maxclients 15000 --appendonly no --save"
        ));
        arguments.push(String::new());
        arguments
    };
    let program = built.join("enpd");
    let brokers = [
        Broker::start("enpd", "enp", &program, enpd)?,
        Broker::start("nats", "nats", Path::new("nats-server"), nats)?,
        Broker::start("redis", "redis", Path::new("redis-server"), redis)?,
        Broker::start("enpd spinning", "enp+spin", &program, spinning)?,
    ];
    let mut command = Command::new(built.join("loadgen"));
    command
        .current_dir(crate::paths::root())
        .arg("brokers")
        .args(load);
    for broker in &brokers {
        command.args(["--broker", &broker.argument()]);
    }
    shell::run(command.arg("--out").arg(out))
}
