//! A cluster of Debian's `nats-server` on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the program is: installed, or fetched from Debian and unpacked below the target folder.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let installed = Path::new("/usr/sbin/nats-server");
        if installed.exists() {
            return installed.into();
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../peers/nats-server");
        let program = folder.join("unpacked/usr/sbin/nats-server");
        if !program.exists() {
            fetch(&folder);
        }
        program
    })
}

fn fetch(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let run = |command: &mut Command| {
        let output = command.current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {said}");
    };
    let packages = || {
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let is_package = |path: &PathBuf| path.extension().is_some_and(|it| it == "deb");
        files.filter(is_package).collect::<Vec<_>>()
    };
    if packages().is_empty() {
        run(Command::new("apt-get").args(["download", "--quiet=2", "nats-server"]));
    }
    let unpacking = folder.join("unpacking");
    _ = fs::remove_dir_all(&unpacking);
    for package in packages() {
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(&unpacking));
    }
    fs::rename(unpacking, folder.join("unpacked")).unwrap();
}

pub struct Cluster {
    ports: Vec<u16>,
    routes: Vec<u16>,
    servers: Vec<Option<Child>>,
    /// Further options of each.
    options: Vec<String>,
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    listeners
        .iter()
        .map(|it| it.local_addr().unwrap().port())
        .collect()
}

impl Cluster {
    /// Of so many servers, none of which runs.
    pub fn down(count: usize) -> Self {
        let mut ports = free_ports(2 * count);
        Self {
            routes: ports.split_off(count),
            ports,
            servers: (0..count).map(|_| None).collect(),
            options: vec![],
        }
    }

    /// Of one server with further options.
    pub fn alone_with(options: &[&str]) -> Self {
        let mut cluster = Self::down(1);
        cluster.options = options.iter().map(|&option| option.to_owned()).collect();
        cluster.start(0);
        cluster
    }

    /// Of so many servers at work.
    pub fn new(count: usize) -> Self {
        let mut cluster = Self::down(count);
        (0..count).for_each(|number| cluster.start(number));
        cluster
    }

    pub fn start(&mut self, number: usize) {
        let url = |port: &u16| format!("nats://127.0.0.1:{port}");
        let routes: Vec<String> = self.routes.iter().map(url).collect();
        let server = Command::new(program())
            .args(["-a", "127.0.0.1", "-p", &self.ports[number].to_string()])
            .args(["--cluster_name", "test", "--cluster", &routes[number]])
            .args(["--routes", &routes.join(",")])
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.servers[number] = Some(server);
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.ports[number])).is_err() {
            assert!(Instant::now() < until, "no server answers");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self, number: usize) {
        if let Some(mut server) = self.servers[number].take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub fn url(&self, number: usize) -> String {
        format!("nats://127.0.0.1:{}", self.ports[number])
    }

    pub fn port(&self, number: usize) -> u16 {
        self.ports[number]
    }

    /// All of them, that one first.
    pub fn urls_from(&self, number: usize) -> Vec<String> {
        let count = self.ports.len();
        (0..count)
            .map(|at| self.url((number + at) % count))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.servers.len()).for_each(|number| self.kill(number));
    }
}
