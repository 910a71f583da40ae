//! ENP over TLS: programs and clients of ours, and `openssl s_client`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ens::client::{Address, ClientEvent, Connection, Options};
use ens::frame::{Frame, PAYLOAD_BYTES_MAX, PROTOCOL};
use ens::server::{self, Running};
use tempfile::TempDir;
use tls::Identity;

use crate::talk::{Client, PATIENCE};

const STORE: &str = "enp://127.0.0.1/store";

/// A broker that speaks TLS, and the file of what signed its certificate.
struct Secure {
    broker: Option<Running>,
    plain: SocketAddr,
    tls: SocketAddr,
    folder: TempDir,
}

/// A certificate for these names, and its key.
fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn put(folder: &Path, (chain, key): &(String, String)) {
    fs::write(folder.join("default.pem"), chain).unwrap();
    fs::write(folder.join("default.key"), key).unwrap();
}

impl Secure {
    fn new() -> Self {
        Self::shown_as(&["127.0.0.1", "localhost"])
    }

    fn shown_as(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = pair(names);
        put(folder.path(), &made);
        let identity = Identity::from_pem(made.0.as_bytes(), made.1.as_bytes()).unwrap();
        let options = tls::Options {
            protocols: vec![PROTOCOL.to_vec()],
            ..tls::Options::default()
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let config = tls::Config::new(&[identity], options, now).unwrap();
        let options = server::Options {
            tls: Some(([127, 0, 0, 1], 0).into()),
            ..crate::talk::options(0)
        };
        let bound = server::bind(options).unwrap();
        let broker = bound.with_certificates(config.into()).start().unwrap();
        let lines = broker.listening().iter();
        let address = |line: &String| line.rsplit(' ').next().unwrap().parse().unwrap();
        let addresses: Vec<SocketAddr> = lines.map(address).collect();
        assert!(broker.listening()[1].starts_with("enps listening on "));
        Self {
            broker: Some(broker),
            plain: addresses[0],
            tls: addresses[1],
            folder,
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("default.pem")
    }

    fn open(&self, host: &str, port: u16, ca: &Path) -> Result<Client, String> {
        let (sender, news) = mpsc::channel();
        let on_news = move |_: &Connection, news| drop(sender.send(news));
        let options = Options {
            ca: Some(ca.to_owned()),
            ..Options::default()
        };
        let opened = Connection::open(Address::new(host, port), options, on_news);
        let connection = opened.map_err(|error| error.to_string())?;
        let client = Client { connection, news };
        assert_eq!(client.next(), ClientEvent::Welcome);
        Ok(client)
    }

    fn client(&self) -> Client {
        self.open("enps://127.0.0.1", self.tls.port(), &self.ca())
            .unwrap()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }
}

fn hello() -> Vec<u8> {
    let name = "stranger";
    Frame::Hello { version: 1, name }.to_bytes().to_vec()
}

/// Ends a program that was started here.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn openssl_hears_the_greeting() {
    let secure = Secure::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-verify_return_error",
                "-alpn",
                "enp",
                version,
            ])
            .args(["-connect", &secure.tls.to_string()])
            .args(["-CAfile".as_ref(), secure.ca().as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut openssl = Started(child);
        let input = openssl.0.stdin.as_mut().unwrap();
        input.write_all(&hello()).unwrap();
        input.flush().unwrap();
        let mut said = [0; 13 + "enpd".len()];
        openssl
            .0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        assert_eq!(said[4], 2, "a WELCOME: {said:?}");
        assert!(said.ends_with(b"enpd"), "{said:?}");
    }
}

#[test]
fn what_apub_is_told_asub_prints_over_tls() {
    let secure = Secure::new();
    let ca = secure.ca();
    let run = |program: &str, input: Stdio| {
        Command::new(program)
            .args(["enps://localhost", &secure.tls.port().to_string(), "--ca"])
            .arg(&ca)
            .env_remove("ENS_CA_FILE")
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut asub = Started(run(env!("CARGO_BIN_EXE_asub"), Stdio::null()));
    let mut printed = BufReader::new(asub.0.stdout.take().unwrap()).lines();
    assert_eq!(printed.next().unwrap().unwrap(), "Subscription successful");
    let mut apub = Started(run(env!("CARGO_BIN_EXE_apub"), Stdio::piped()));
    let mut input = apub.0.stdin.take().unwrap();
    input.write_all(b"hello\nthere\n.\n").unwrap();
    assert!(apub.0.wait().unwrap().success());
    for line in ["hello", "there"] {
        let expected = format!("[{STORE}] {line}");
        assert_eq!(printed.next().unwrap().unwrap(), expected);
    }
}

#[test]
fn who_is_not_trusted_is_refused_with_what_to_do() {
    let secure = Secure::new();
    let (other, _) = pair(&["127.0.0.1"]);
    let wrong = secure.folder.path().join("other.pem");
    fs::write(&wrong, other).unwrap();
    let port = secure.tls.port();
    let refused = |host: &str, ca: &Path| secure.open(host, port, ca).err().unwrap();
    let why = refused("enps://127.0.0.1", &wrong);
    assert!(
        why.contains("its certificate is not trusted") && why.contains("--ca"),
        "{why}"
    );
    let empty = secure.folder.path().join("default.key");
    let why = refused("enps://127.0.0.1", &empty);
    assert!(
        why.contains("default.key: ") && why.contains("certificate"),
        "{why}"
    );
    let why = refused("enps://127.0.0.1", Path::new("/nowhere.pem"));
    assert!(why.contains("/nowhere.pem"), "{why}");
    // It is for another name.
    let other = Secure::shown_as(&["broker.example"]);
    let opened = other.open("enps://127.0.0.1", other.tls.port(), &other.ca());
    let why = opened.err().unwrap();
    assert!(why.contains("not trusted") && why.contains("name"), "{why}");
    // The system knows nothing of it, and the environment may.
    for (variable, succeeds) in [("", false), (&*secure.ca().to_string_lossy(), true)] {
        let mut apub = Command::new(env!("CARGO_BIN_EXE_apub"));
        let apub = apub.args(["enps://127.0.0.1", &port.to_string()]);
        let output = apub
            .env("ENS_CA_FILE", variable)
            .stdin(Stdio::null())
            .output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), succeeds, "{error}");
        assert!(succeeds || error.contains("certificate"), "{error}");
    }
    secure.client().publish(STORE, "still here");
}

#[test]
fn plain_and_tls_on_each_others_port_are_told_so() {
    let secure = Secure::new();
    let ca = secure.ca();
    let why = secure
        .open("127.0.0.1", secure.tls.port(), &ca)
        .err()
        .unwrap();
    assert!(why.contains("it speaks TLS on that port"), "{why}");
    let why = secure.open("enps://127.0.0.1", secure.plain.port(), &ca);
    let why = why.err().unwrap();
    assert!(why.contains("it speaks no TLS on this port"), "{why}");
    // A browser, and whoever speaks another protocol within.
    for stranger in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0xff; 100],
        b"\x15\x03\x01\x00\x02\x01\x00",
    ] {
        let mut stream = TcpStream::connect(secure.tls).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(stranger).unwrap();
        let mut said = vec![];
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() <= 7, "an alert at most: {said:?}");
    }
}

#[test]
fn handshakes_that_have_no_end_are_cut_and_disturb_nobody() {
    let secure = Secure::new();
    let half = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(secure.tls).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let begun = Instant::now();
    let late = [half(b""), half(b"\x16\x03\x01\x02\x00\x01")];
    let (publisher, subscriber) = (secure.client(), secure.client());
    subscriber.subscribe(STORE);
    publisher.publish(STORE, "meanwhile");
    assert_eq!(subscriber.event().1, "meanwhile");
    for mut stream in late {
        let mut said = vec![];
        let _ = stream.read_to_end(&mut said);
        assert!(said.is_empty(), "{said:?}");
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    publisher.publish(STORE, "afterwards");
    assert_eq!(subscriber.event().1, "afterwards");
    // A broker that never answers is given up by its client.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let why = secure
        .open("enps://127.0.0.1", port, &secure.ca())
        .err()
        .unwrap();
    assert!(why.contains("takes too long"), "{why}");
}

#[test]
fn the_largest_and_very_many_arrive_whole_and_in_order() {
    let secure = Secure::new();
    let (publisher, subscriber) = (secure.client(), secure.client());
    subscriber.subscribe(STORE);
    let large = "x".repeat(PAYLOAD_BYTES_MAX);
    publisher.publish(STORE, &large);
    assert!(subscriber.event().1 == large);
    const EVENTS: usize = 20_000;
    let payloads: Vec<String> = (0..EVENTS).map(|number| number.to_string()).collect();
    let mut missed = 0;
    let all = payloads.iter().map(|it| (STORE, it.as_bytes()));
    publisher.connection.publish_all(all).unwrap();
    publisher.connection.drain(PATIENCE);
    let mut next = 0;
    while next < EVENTS {
        match subscriber.next() {
            ClientEvent::Notified { payload, .. } => {
                let number: usize = std::str::from_utf8(&payload).unwrap().parse().unwrap();
                assert_eq!(number, next + std::mem::take(&mut missed));
                next = number + 1;
            }
            ClientEvent::Lagged(events) => missed = events as usize,
            news => panic!("{news:?}"),
        }
        if next + missed == EVENTS {
            break;
        }
    }
}

#[test]
fn enpd_takes_its_certificates_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("tls");
    fs::create_dir(&shown).unwrap();
    let answer = folder.path().join("enpd.refreshed");
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [plain, tls] = ports.map(|it| it.local_addr().unwrap().port().to_string());
    let child = Command::new(env!("CARGO_BIN_EXE_enpd"))
        .args([
            "--listen",
            "127.0.0.1",
            "--port",
            &plain,
            "--tls-port",
            &tls,
        ])
        .args(["--certificates".as_ref(), shown.as_os_str()])
        .args(["--refreshed".as_ref(), answer.as_os_str()])
        .env_remove("ENS_ACCESS")
        .env_remove("ENSIGN_READY_FD")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut enpd = Started(child);
    let said = BufReader::new(enpd.0.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap() == "ready"));
    let refreshed = || {
        let _ = fs::remove_file(&answer);
        let pid = rustix::process::Pid::from_child(&enpd.0);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = fs::read_to_string(&answer) {
                return answer;
            }
            assert!(Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let trusts = |ca: &Path| {
        let mut apub = Command::new(env!("CARGO_BIN_EXE_apub"));
        let apub = apub.args(["enps://127.0.0.1", &tls, "--ca"]).arg(ca);
        apub.stdin(Stdio::null()).output().unwrap().status.success()
    };
    let ca = folder.path().join("ca.pem");
    let made = pair(&["127.0.0.1"]);
    fs::write(&ca, &made.0).unwrap();
    assert!(!trusts(&ca), "there is none yet");
    put(&shown, &made);
    assert_eq!(refreshed(), "");
    assert!(trusts(&ca));
    let (_, key) = pair(&["127.0.0.1"]);
    put(&shown, &(made.0.clone(), key));
    let said = refreshed();
    assert!(said.contains("is not that of the chain"), "{said}");
    assert!(trusts(&ca), "those before are kept");
}
