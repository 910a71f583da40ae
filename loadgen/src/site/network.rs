//! Hosts with a network each, every two of them joined by a cable: namespaces and `veth` pairs. The
//! kernel removes them with the last process that is in them, so nothing is left behind.

use std::io::{self, Error};
use std::process::{Child, Command, Stdio};

/// Hosts without one of their own, on loopback, or with.
pub struct Network {
    /// In each namespace a process that ends with this one: it waits for what its input says.
    keepers: Vec<Child>,
}

/// How a cable is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends notice.
    Down,
    /// Nobody notices: what is sent is lost.
    Silent,
    /// Nobody notices: what the first one sends is lost.
    OneWay,
}

impl Network {
    /// So many hosts. Only root may.
    ///
    /// # Errors
    /// If the kernel, `unshare`, `nsenter` or `ip` refuse.
    pub fn new(count: usize) -> io::Result<Self> {
        let mut network = Self { keepers: vec![] };
        for _ in 0..count {
            // It says one line when it is in its namespace.
            let mut keeper = Command::new("unshare")
                .args(["--net", "sh", "-c", "ip link set lo up && echo && exec cat"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut line = [0];
            let said = keeper.stdout.as_mut().expect("it is piped");
            let begun = io::Read::read_exact(said, &mut line);
            network.keepers.push(keeper);
            begun.map_err(|_| Error::other("no namespace: it needs root, unshare and ip"))?;
        }
        for one in 0..count {
            for other in one + 1..count {
                network.lay(one, other)?;
            }
        }
        Ok(network)
    }

    /// A program on a host.
    pub fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let namespace = format!("--net=/proc/{}/ns/net", self.keepers[host].id());
        command.args([&namespace, program]);
        command
    }

    /// By what another host reaches a host.
    pub fn address(of: usize, from: usize) -> String {
        let (one, other) = (of.min(from), of.max(from));
        let end = if of < from { 1 } else { 2 };
        format!("10.77.{}.{end}", one * 16 + other)
    }

    fn lay(&self, one: usize, other: usize) -> io::Result<()> {
        let process = |host: usize| self.keepers[host].id().to_string();
        let (to_other, to_one) = (device(other), device(one));
        let mut command = Command::new("ip");
        command
            .args(["link", "add", &to_other, "netns", &process(one)])
            .args(["type", "veth", "peer", "name", &to_one])
            .args(["netns", &process(other)]);
        run(&mut command)?;
        for (host, peer) in [(one, other), (other, one)] {
            let address = format!("{}/30", Self::address(host, peer));
            self.ip(host, &["addr", "add", &address, "dev", &device(peer)])?;
            self.ip(host, &["link", "set", &device(peer), "up"])?;
        }
        Ok(())
    }

    fn ip(&self, host: usize, arguments: &[&str]) -> io::Result<()> {
        run(self.command(host, "ip").args(arguments))
    }

    /// Cuts the cable between two hosts.
    ///
    /// # Errors
    /// If `ip` or `tc` refuse.
    pub fn cut(&self, one: usize, other: usize, how: Cut) -> io::Result<()> {
        match how {
            Cut::Down => self.ip(one, &["link", "set", &device(other), "down"]),
            Cut::OneWay => self.lose(one, other),
            Cut::Silent => {
                self.lose(one, other)?;
                self.lose(other, one)
            }
        }
    }

    /// What a host sends is larger than what its queue ever holds.
    fn lose(&self, from: usize, to: usize) -> io::Result<()> {
        let device = device(to);
        let mut command = self.command(from, "tc");
        command
            .args(["qdisc", "replace", "dev", &device, "root"])
            .args(["tbf", "rate", "8bit", "burst", "1", "limit", "1"]);
        run(&mut command)
    }

    /// Mends it.
    ///
    /// # Errors
    /// If `ip` or `tc` refuse.
    pub fn mend(&self, one: usize, other: usize) -> io::Result<()> {
        for (host, peer) in [(one, other), (other, one)] {
            self.ip(host, &["link", "set", &device(peer), "up"])?;
            // It may have none.
            let mut command = self.command(host, "tc");
            command.args(["qdisc", "del", "dev", &device(peer), "root"]);
            command.stderr(Stdio::null()).status()?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

fn device(to: usize) -> String {
    format!("to{to}")
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(format!("{command:?}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn the_ends_of_each_cable_have_addresses_of_their_own() {
        let ends = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        let addresses = ends.map(|(of, from)| Network::address(of, from));
        let expected = ["1.1", "1.2", "2.1", "2.2", "18.1", "18.2"];
        assert_eq!(addresses, expected.map(|end| format!("10.77.{end}")));
    }
}
