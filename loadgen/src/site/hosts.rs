//! Hosts of a site: on each a NATS server of one cluster, and a broker.

use std::fs::File;
use std::io::{self, Error, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::network::Network;

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where servers listen that have a network of their own: for clients, and for each other.
const CLIENTS: u16 = 4222;
const ROUTES: u16 = 6222;

/// What ends with whoever has started it, however that ends.
const SETPRIV: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The broker.
    pub enpd: PathBuf,
    /// Debian's server.
    pub nats: PathBuf,
}

/// What is started on each host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A server of the cluster.
    Nats,
    /// A broker of the site.
    Broker,
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nats => "nats-server",
            Self::Broker => "enpd",
        })
    }
}

/// Hosts of a site; dropped, all that runs there is killed.
pub struct Hosts {
    programs: Programs,
    folder: PathBuf,
    network: Option<Network>,
    hosts: Vec<Host>,
    /// Further options of brokers.
    options: Vec<String>,
    /// Brokers are told of their own host's server only, and hear of the others from it.
    own_servers: bool,
}

struct Host {
    nats: Option<Child>,
    enpd: Option<Child>,
    /// It takes over from that one.
    successor: Option<Child>,
    ports: Ports,
}

/// On loopback; free ones.
#[derive(Clone, Copy)]
struct Ports {
    clients: u16,
    routes: u16,
    monitor: u16,
    broker: u16,
}

fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<io::Result<_>>()?;
    let port = |it: &TcpListener| it.local_addr().map(|address| address.port());
    listeners.iter().map(port).collect()
}

impl Hosts {
    /// So many hosts, on loopback or with networks of their own; nothing runs there. What they say
    /// goes to files in the folder, where their sockets are, too.
    ///
    /// # Errors
    /// If there are no networks.
    pub fn new(
        count: usize,
        programs: Programs,
        folder: &Path,
        network: Option<Network>,
        options: &[String],
    ) -> io::Result<Self> {
        let mut hosts = vec![];
        for ports in free_ports(4 * count)?.chunks_exact(4) {
            hosts.push(Host {
                nats: None,
                enpd: None,
                successor: None,
                ports: Ports {
                    clients: ports[0],
                    routes: ports[1],
                    monitor: ports[2],
                    broker: ports[3],
                },
            });
        }
        Ok(Self {
            programs,
            folder: folder.into(),
            network,
            hosts,
            options: options.into(),
            own_servers: false,
        })
    }

    /// Each broker begins with its own host's server.
    #[must_use]
    pub fn with_own_servers(mut self) -> Self {
        self.own_servers = true;
        self
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.hosts.len()
    }

    /// The network, if they have one of their own.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Starts all servers, and then all brokers.
    ///
    /// # Errors
    /// If one doesn't start.
    pub fn start_all(&mut self) -> io::Result<()> {
        for service in [Service::Nats, Service::Broker] {
            for host in 0..self.count() {
                self.start(host, service)?;
            }
        }
        Ok(())
    }

    /// Starts what does not run, and waits until it listens.
    ///
    /// # Errors
    /// If it doesn't start.
    pub fn start(&mut self, host: usize, service: Service) -> io::Result<()> {
        if self.place(host, service).is_some() {
            return Ok(());
        }
        let mut command = match service {
            Service::Nats => self.nats(host),
            Service::Broker => self.enpd(host),
        };
        let child = self.spawn(host, service, &mut command)?;
        *self.place(host, service) = Some(child);
        let until = Instant::now() + PATIENCE;
        while !self.listens(host, service) {
            let place = self.place(host, service);
            if let Some(child) = place
                && let Some(status) = child.try_wait()?
            {
                *place = None;
                return Err(Error::other(format!("{service} on host {host}: {status}")));
            }
            if Instant::now() > until {
                let text = format!("{service} on host {host} does not listen");
                return Err(Error::new(ErrorKind::TimedOut, text));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn spawn(&self, host: usize, service: Service, command: &mut Command) -> io::Result<Child> {
        let name = format!("{service}-{host}.log");
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.folder.join(name))?;
        command
            .env_remove("ENS_ACCESS")
            .env_remove("ENSIGN_READY_FD")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| Error::other(format!("{command:?}: {error}")))
    }

    /// Another broker begins to take over all connections of a host's.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn begin_upgrade(&mut self, host: usize) -> io::Result<()> {
        let mut command = self.enpd(host);
        command.arg("--take-over");
        let successor = self.spawn(host, Service::Broker, &mut command)?;
        self.hosts[host].successor = Some(successor);
        Ok(())
    }

    /// Waits until it has.
    ///
    /// # Errors
    /// If it has not in time.
    pub fn end_upgrade(&mut self, host: usize) -> io::Result<()> {
        let until = Instant::now() + 2 * PATIENCE;
        while self.hosts[host].successor.is_some() {
            self.look()?;
            if Instant::now() > until {
                return Err(Error::other(format!(
                    "the upgrade on host {host} takes long"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The predecessor ends when another has all.
    fn look_at_upgrade(&mut self, host: usize) -> io::Result<()> {
        let host = &mut self.hosts[host];
        if let (Some(enpd), Some(successor)) = (&mut host.enpd, &mut host.successor) {
            if enpd.try_wait()?.is_some_and(|status| status.success()) {
                host.enpd = host.successor.take();
            } else if let Some(status) = successor.try_wait()? {
                return Err(Error::other(format!("an upgrade has failed: {status}")));
            }
        }
        Ok(())
    }

    fn listens(&self, host: usize, service: Service) -> bool {
        match (service, &self.network) {
            (Service::Broker, _) => UnixStream::connect(self.socket(host)).is_ok(),
            (Service::Nats, None) => TcpStream::connect(self.nats_address(host)).is_ok(),
            // Its port is out of reach; the brokers wait for it.
            (Service::Nats, Some(_)) => true,
        }
    }

    fn place(&mut self, host: usize, service: Service) -> &mut Option<Child> {
        let host = &mut self.hosts[host];
        match service {
            Service::Nats => &mut host.nats,
            Service::Broker => &mut host.enpd,
        }
    }

    fn command(&self, host: usize, program: &Path) -> Command {
        let mut command = match &self.network {
            Some(network) => network.command(host, SETPRIV[0]),
            None => Command::new(SETPRIV[0]),
        };
        command.args(&SETPRIV[1..]).arg(program);
        command
    }

    /// A server's addresses for clients and routes, as they are seen from a host.
    fn urls(&self, of: usize, from: usize) -> [String; 2] {
        let ports = &self.hosts[of].ports;
        let [clients, routes] = match (&self.network, of == from) {
            (None, _) => [ports.clients, ports.routes].map(|port| format!("127.0.0.1:{port}")),
            (Some(_), true) => [CLIENTS, ROUTES].map(|port| format!("127.0.0.1:{port}")),
            (Some(_), false) => {
                let address = Network::address(of, from);
                [CLIENTS, ROUTES].map(|port| format!("{address}:{port}"))
            }
        };
        [clients, routes].map(|address| format!("nats://{address}"))
    }

    fn nats(&self, host: usize) -> Command {
        let mut command = self.command(host, &self.programs.nats);
        let others = (0..self.count()).filter(|other| *other != host);
        let routes: Vec<String> = others
            .map(|other| self.urls(other, host)[1].clone())
            .collect();
        let ports = &self.hosts[host].ports;
        let (listen, clients, own) = match &self.network {
            Some(_) => ("0.0.0.0", CLIENTS, format!("nats://0.0.0.0:{ROUTES}")),
            None => ("127.0.0.1", ports.clients, self.urls(host, host)[1].clone()),
        };
        command
            .args(["-a", listen, "-p", &clients.to_string()])
            .args(["-m", &ports.monitor.to_string()])
            .args(["--cluster_name", "site", "--cluster", &own])
            .args(["--routes", &routes.join(",")]);
        command
    }

    fn enpd(&self, host: usize) -> Command {
        let mut command = self.command(host, &self.programs.enpd);
        // Its own host's server first.
        let count = self.count();
        let servers = (0..count).map(|at| (host + at) % count);
        let servers = servers.take(if self.own_servers { 1 } else { count });
        let urls: Vec<String> = servers
            .map(|server| self.urls(server, host)[0].clone())
            .collect();
        command
            .args(["--listen", "127.0.0.1", "--keepalive", "0"])
            .args(["--port", &self.hosts[host].ports.broker.to_string()])
            .arg("--socket")
            .arg(self.socket(host))
            .arg("--control")
            .arg(self.folder.join(format!("control-{host}")))
            .args(["--nats", &urls.join(",")])
            .args(&self.options);
        command
    }

    /// A broker's Unix socket, which is within reach from everywhere.
    pub fn socket(&self, host: usize) -> PathBuf {
        self.folder.join(format!("enpd-{host}"))
    }

    /// Where a broker listens, on its own host.
    pub fn broker_address(&self, host: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.hosts[host].ports.broker).into()
    }

    /// Where a server listens, on loopback.
    pub fn nats_address(&self, host: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.hosts[host].ports.clients).into()
    }

    /// Where a server is asked how it does, on its own host.
    pub fn monitor_address(&self, host: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.hosts[host].ports.monitor).into()
    }

    /// The process, if it runs.
    pub fn pid(&self, host: usize, service: Service) -> Option<u32> {
        let host = &self.hosts[host];
        let child = match service {
            Service::Nats => &host.nats,
            Service::Broker => &host.enpd,
        };
        child.as_ref().map(Child::id)
    }

    /// Sends a signal to what runs.
    ///
    /// # Errors
    /// If it can't be sent.
    pub fn signal(&self, host: usize, service: Service, signal: Signal) -> io::Result<()> {
        match self
            .pid(host, service)
            .and_then(|pid| Pid::from_raw(pid as i32))
        {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Ends what runs, and waits until it is gone.
    ///
    /// # Errors
    /// If it can't be ended.
    pub fn end(&mut self, host: usize, service: Service, signal: Signal) -> io::Result<()> {
        self.signal(host, service, signal)?;
        if let Some(mut child) = self.place(host, service).take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Whether all that should run does. What has died by itself is a fault.
    ///
    /// # Errors
    /// What has died.
    pub fn look(&mut self) -> io::Result<()> {
        for host in 0..self.count() {
            self.look_at_upgrade(host)?;
            for service in [Service::Nats, Service::Broker] {
                if let Some(child) = self.place(host, service)
                    && let Some(status) = child.try_wait()?
                {
                    let text = format!("{service} on host {host} has ended by itself: {status}");
                    return Err(Error::other(text));
                }
            }
        }
        Ok(())
    }
}

/// A broker without a site; dropped, it is killed.
pub struct Alone {
    child: Child,
    port: u16,
}

impl Alone {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// If it doesn't start.
    pub fn start(enpd: &Path, options: &[String]) -> io::Result<Self> {
        let port = free_ports(1)?[0];
        let child = Command::new(SETPRIV[0])
            .args(&SETPRIV[1..])
            .arg(enpd)
            .args(["--listen", "127.0.0.1", "--keepalive", "0"])
            .args(["--port", &port.to_string()])
            .args(options)
            .env_remove("ENS_ACCESS")
            .env_remove("ENSIGN_READY_FD")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let alone = Self { child, port };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(alone.address()).is_err() {
            if Instant::now() > until {
                return Err(Error::new(ErrorKind::TimedOut, "a broker does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(alone)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..self.count() {
            if let Some(mut successor) = self.hosts[host].successor.take() {
                let _ = successor.kill();
                let _ = successor.wait();
            }
            for service in [Service::Broker, Service::Nats] {
                let _ = self.end(host, service, Signal::KILL);
            }
        }
    }
}
