//! A base directory with a server in it, and connections to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

/// Nothing the server says takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Site {
    pub folder: TempDir,
    pub options: String,
    /// Variables of the server's environment.
    pub variables: Vec<(&'static str, String)>,
}

pub struct Server {
    child: Child,
    pub imap: SocketAddr,
    pub lmtp: SocketAddr,
    pub ens: SocketAddr,
}

/// `libibiff.so` as cargo has built it for these tests, without its suffix.
pub fn libibiff() -> String {
    let program = std::env::current_exe().unwrap();
    let library = program.parent().unwrap().join("libibiff");
    assert!(library.with_extension("so").exists(), "{library:?}.so");
    library.to_str().unwrap().to_owned()
}

/// What the administration guide has set for IDLE, with the broker within the server.
pub fn idle_offered() -> String {
    format!(
        "local.store.notifyplugin = {}\n\
         local.store.notifyplugin.enseventkey = enp://127.0.0.1/store/%M\n\
         local.store.notifyplugin.noneinbox.enable = 1\n\
         ens.embedded = yes\n",
        libibiff()
    )
}

impl Site {
    /// Puts a certificate for a name, signed by itself, where the server looks for it.
    pub fn show_certificate(&self, name: &str) {
        let folder = self.folder.path().join("config/tls");
        fs::create_dir(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        fs::write(folder.join("default.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("default.key"), made.signing_key.serialize_pem()).unwrap();
    }

    /// Has the server read again what it can, until the log has a line once more.
    pub fn refresh(&self, server: &Server, until: &str) {
        let before = self.log().matches(until).count();
        server.signal(Signal::HUP);
        for _ in 0..200 {
            if self.log().matches(until).count() > before {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{until:?} is not in the log:\n{}", self.log());
    }

    /// What the server answers to whoever has it read its files again, as `refresh` does.
    pub fn refreshed(&self, server: &Server) -> String {
        let path = self.folder.path().join("run/imapd.refreshed");
        let _ = fs::remove_file(&path);
        server.signal(Signal::HUP);
        for _ in 0..200 {
            if let Ok(answer) = fs::read_to_string(&path) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no answer:\n{}", self.log());
    }

    /// With users `fred` and `mary`, whose passwords are their names, and IDLE.
    pub fn new(options: &str) -> Self {
        Self::bare(&format!("{}{options}", idle_offered()))
    }

    /// Without IDLE, unless the options say so.
    pub fn bare(options: &str) -> Self {
        Self::within(
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            options,
        )
    }

    /// The same in a folder that is there.
    pub fn within(folder: tempfile::TempDir, options: &str) -> Self {
        for name in ["config", "data", "log", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let base = admin::Base::new(folder.path());
        admin::config::write_defaults(&base.msg_conf_defaults(), "root").unwrap();
        let scheme = admin::password::Scheme::Ssha256;
        let users: String = ["fred", "mary"]
            .map(|name| {
                let hash = admin::password::hash(scheme, name.as_bytes()).unwrap();
                format!("{name}:{hash}\n")
            })
            .concat();
        fs::write(base.users(), users).unwrap();
        let options = options.into();
        Self {
            folder,
            options,
            variables: vec![],
        }
    }

    /// Users whose passwords, their names, are costly to check.
    pub fn with_costly_passwords(self, names: &[&str]) -> Self {
        self.with_users_of(names, admin::password::Scheme::Argon2id)
    }

    /// Users whose passwords are their names.
    pub fn with_users(self, names: &[String]) -> Self {
        self.with_users_of(names, admin::password::Scheme::Ssha256)
    }

    fn with_users_of(self, names: &[impl AsRef<str>], scheme: admin::password::Scheme) -> Self {
        let line = |name: &_| {
            let name: &str = AsRef::as_ref(name);
            let hash = admin::password::hash(scheme, name.as_bytes()).unwrap();
            format!("{name}:{hash}\n")
        };
        let users: String = names.iter().map(line).collect();
        let base = admin::Base::new(self.folder.path());
        fs::write(base.users(), users).unwrap();
        self
    }

    /// Writes the configuration, with free ports: those of IMAP, LMTP and ENS.
    pub fn configure(&self) -> [SocketAddr; 3] {
        // All at a time, so that they are three.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.map(|listener| listener.local_addr().unwrap());
        let [imap, lmtp, ens] = addresses.map(|address| address.port());
        let ports = format!(
            "service.listenaddr = 127.0.0.1\nservice.imap.port = {imap}\nservice.imap.sslport = 0\n\
             service.lmtp.port = {lmtp}\nens.port = {ens}\n\
             local.store.notifyplugin.ensport = {ens}\n{}",
            self.options
        );
        // Of an option that is there twice, the later one.
        let pairs = ports.lines().filter_map(|line| line.split_once(" = "));
        let options: BTreeMap<&str, &str> = pairs.collect();
        let lines = options
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"));
        let base = admin::Base::new(self.folder.path());
        fs::write(base.msg_conf(), lines.collect::<String>()).unwrap();
        addresses
    }

    /// Starts the server; again on other ports if somebody else took one meanwhile.
    pub fn start(&self) -> Server {
        self.start_under(":")
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let logs = fs::read_dir(self.folder.path().join("log")).unwrap();
        logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap())
            .collect()
    }

    /// Starts the server after commands of the shell that set its limits.
    pub fn start_under(&self, limits: &str) -> Server {
        for _ in 0..5 {
            if let Ok(server) = self.try_start(limits) {
                return server;
            }
        }
        panic!("the server does not start");
    }

    /// Starts the server after commands of the shell, or gives what it says instead.
    pub fn try_start(&self, limits: &str) -> Result<Server, String> {
        let [imap, lmtp, ens] = self.configure();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("{limits}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_imapd"))
            .arg("--base")
            .arg(self.folder.path())
            .env_remove("ENSIGN_READY_FD")
            .envs(self.variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        if said.lines().any(|line| line.unwrap() == "ready") {
            return Ok(Server {
                child,
                imap,
                lmtp,
                ens,
            });
        }
        child.wait().unwrap();
        Err(fs::read_to_string(self.folder.path().join("stderr")).unwrap())
    }
}

impl Site {
    /// Has another process take over, which ends the first one.
    pub fn upgrade(&self, server: &mut Server) {
        let upgraded = self.try_upgrade(server);
        assert!(upgraded.is_ok(), "{upgraded:?}; log: {}", self.log());
    }

    /// The same, or what the other process says instead.
    pub fn try_upgrade(&self, server: &mut Server) -> Result<(), String> {
        let stderr = self.folder.path().join("stderr-of-successor");
        let mut child = Command::new(env!("CARGO_BIN_EXE_imapd"))
            .arg("--take-over")
            .arg("--base")
            .arg(self.folder.path())
            .env_remove("ENSIGN_READY_FD")
            .envs(self.variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let is_ready = said.lines().any(|line| line.unwrap() == "ready");
        if !is_ready {
            child.wait().unwrap();
            return Err(fs::read_to_string(&stderr).unwrap());
        }
        server.ended();
        server.child = child;
        Ok(())
    }
}

impl Server {
    /// A deliverer that has said who it is.
    pub fn lmtp_greeted(&self) -> Talk {
        let mut talk = Talk::to(self.lmtp);
        talk.line();
        talk.say("LHLO here\r\n");
        while talk.line().as_bytes()[3] == b'-' {}
        talk
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop; it does so within a while.
    pub fn terminate(&mut self) {
        self.signal(rustix::process::Signal::TERM);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends the server without a chance to do anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it says of itself, by name; of shards, the sum.
    pub fn statistics(&self, site: &Site) -> BTreeMap<String, u64> {
        let path = admin::Base::new(site.folder.path()).statistics();
        let _ = fs::remove_file(&path);
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
        let patience = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut sums = BTreeMap::new();
        for line in fs::read_to_string(path).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            *sums.entry(words[1].to_owned()).or_default() += words[2].parse::<u64>().unwrap();
        }
        sums
    }

    /// What it has in memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn ended(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// What a new connection is greeted with.
    pub fn greeting(&self) -> String {
        Talk::to(self.imap).line()
    }

    /// Logged in, INBOX selected.
    pub fn select(&self, user: &str) -> Talk {
        let mut talk = Talk::to(self.imap);
        talk.line();
        talk.ask(&format!("l LOGIN {user} {user}"));
        talk.ask("s SELECT INBOX");
        talk
    }

    /// Logged in, idling in INBOX.
    pub fn idle(&self, user: &str) -> Talk {
        let mut talk = self.select(user);
        talk.say("i IDLE\r\n");
        assert_eq!(talk.line(), "+ idling");
        talk
    }

    /// The last answers to a delivery.
    pub fn deliver(&self, to: &[&str], message: &str) -> Vec<String> {
        deliver(self.lmtp, to, message)
    }
}

/// The last answers to a delivery.
pub fn deliver(lmtp: SocketAddr, to: &[&str], message: &str) -> Vec<String> {
    let mut talk = Talk::to(lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    talk.say("MAIL FROM:<a@example.org>\r\n");
    talk.line();
    for to in to {
        talk.say(&format!("RCPT TO:<{to}>\r\n"));
        let reply = talk.line();
        if !reply.starts_with("250") {
            return vec![reply];
        }
    }
    talk.say("DATA\r\n");
    talk.line();
    talk.say(&format!("{message}\r\n.\r\n"));
    to.iter().map(|_| talk.line()).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    pub fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::new(stream);
        Self { stream }
    }

    /// The connection alone; what came and was not looked at is lost.
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// A line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// A line, if it comes soon.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        self.has_bytes_within(time).then(|| self.line())
    }

    /// Whether bytes come soon.
    pub fn has_bytes_within(&mut self, time: Duration) -> bool {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(time)).unwrap();
        let there = self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.stream
            .get_ref()
            .set_read_timeout(Some(PATIENCE))
            .unwrap();
        there
    }

    /// Everything up to the tagged answer, which must be OK.
    pub fn ask(&mut self, command: &str) -> Vec<String> {
        self.say(&format!("{command}\r\n"));
        let tag = command.split(' ').next().unwrap();
        self.until(tag)
    }

    /// The same on a connection that is new.
    pub fn ask_after_greeting(mut self, command: &str) -> Vec<String> {
        self.line();
        self.ask(command)
    }

    pub fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = vec![];
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended; before: {lines:?}");
            lines.push(line);
            let last = &lines[lines.len() - 1];
            if let Some(answer) = last.strip_prefix(&format!("{tag} ")) {
                assert!(answer.starts_with("OK"), "{lines:?}");
                return lines;
            }
        }
    }

    /// Everything up to the tagged answer, whatever that is.
    pub fn until_any(&mut self, tag: &str) -> Vec<String> {
        let mut lines = vec![];
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended; before: {lines:?}");
            let is_last = line.starts_with(&format!("{tag} "));
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// So many bytes, or those that come before the end.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut stream = (&mut self.stream).take(count as u64);
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    /// How many bytes come until the connection ends, in whatever way.
    pub fn rest(&mut self) -> u64 {
        let mut buffer = vec![0; 1 << 16];
        let mut count = 0;
        while let Ok(n @ 1..) = self.stream.read(&mut buffer) {
            count += n as u64;
        }
        count
    }
}
