//! Clients of other hosts, which speak TLS: how often they may come, and what is read of them in
//! the log.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::site::{Server, Site, Talk};

/// An address of this host that is not loopback, by which it would speak to others.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Sends nothing: it only looks for the way.
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// `address port` and lines `connection command`: prints the tagged answer to each command, or how
/// the connection ended.
const CLIENT: &str = r#"
import socket, ssl, sys
address, port = sys.argv[1], int(sys.argv[2])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connections = {}
for script in sys.stdin:
    name, command = script.rstrip('\n').split(' ', 1)
    if name not in connections:
        plain = socket.create_connection((address, port), timeout=60)
        connections[name] = context.wrap_socket(plain).makefile('rwb', 0)
        print(connections[name].readline().decode().rstrip() if command == 'greeting' else
              connections[name].readline() and '', end='\n' if command == 'greeting' else '')
    if command == 'close':
        connections.pop(name).close()
        continue
    if command == 'greeting':
        continue
    connections[name].write(b't ' + command.encode() + b'\r\n')
    line = connections[name].readline()
    while line.startswith(b'* ') and not line.startswith(b'* BYE'):
        line = connections[name].readline()
    print(line.decode().rstrip().split('] ', 1)[0], flush=True)
"#;

struct Strangers {
    site: Site,
    address: IpAddr,
    port: u16,
}

impl Strangers {
    /// None if this host has no address but loopback.
    fn new(options: &str) -> Option<Self> {
        let Some(address) = own_address() else {
            eprintln!("this host has no address but loopback, from which nothing is counted");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Site::bare(&format!(
            "service.listenaddr = 0.0.0.0\nservice.imap.sslport = {port}\n\
             service.imap.shards = 2\n{options}"
        ));
        site.show_certificate("imap.example");
        Some(Self {
            site,
            address,
            port,
        })
    }

    fn say(&self, lines: &[&str]) -> Vec<String> {
        let script = self.site.folder.path().join("script");
        std::fs::write(&script, lines.join("\n") + "\n").unwrap();
        let output = Command::new("python3")
            .args(["-c", CLIENT])
            .arg(self.address.to_string())
            .arg(self.port.to_string())
            .stdin(std::fs::File::open(script).unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().map(str::to_owned).collect()
    }

    /// Waits for a line of the log.
    fn logged(&self, text: &str) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !self.site.log().contains(text) {
            assert!(Instant::now() < patience, "{text:?}:\n{}", self.site.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many lines of the log the filter of fail2ban takes for an offence of the address.
    fn offences(&self) -> usize {
        let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/share/fail2ban/ensign.conf");
        let script = r#"
import configparser, re, sys
filter = configparser.ConfigParser()
filter.read(sys.argv[1])
address = r'(?P<addr>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*)'
patterns = [re.compile(line.replace('<ADDR>', address))
            for line in filter['Definition']['failregex'].splitlines()]
found = []
for line in sys.stdin:
    line = re.sub(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z?', '', line)
    found += [match['addr'] for pattern in patterns if (match := pattern.search(line))]
assert set(found) <= {sys.argv[2]}, found
print(len(found))
"#;
        let log = self.site.folder.path().join("everything");
        std::fs::write(&log, self.site.log()).unwrap();
        let output = Command::new("python3")
            .args(["-c", script, filter])
            .arg(self.address.to_string())
            .stdin(std::fs::File::open(log).unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = String::from_utf8(output.stdout).unwrap();
        said.trim().parse().unwrap_or_else(|_| panic!("{error}"))
    }
}

fn met(strangers: &Strangers, server: &Server, bound: &str) -> u64 {
    server.statistics(&strangers.site)[bound]
}

#[test]
fn a_user_has_so_many_connections_in_all_shards() {
    let Some(strangers) = Strangers::new("service.imap.maxperuser = 3\n") else {
        return;
    };
    let server = strangers.site.start();
    let login = |name: &str| format!("{name} LOGIN fred fred");
    let (a, b, c, d) = (login("a"), login("b"), login("c"), login("d"));
    let said = strangers.say(&[&a, &b, &c, &d, "d LOGIN mary mary", "e LOGIN fred fred"]);
    let ok = |line: &String| line.starts_with("t OK");
    assert!(said[..3].iter().all(ok), "{said:?}");
    assert_eq!(said[3], "t NO [LIMIT");
    assert!(ok(&said[4]), "another user: {said:?}");
    assert_eq!(said[5], "t NO [LIMIT");
    // All have left since: the places are free again.
    let said = strangers.say(&[&a, &b, &c]);
    assert!(said.iter().all(ok), "{said:?}");
    assert_eq!(met(&strangers, &server, "UserConnections"), 2);
    let line = format!(
        "event=refusal result=maxperuser ip={} user=\"fred\"",
        strangers.address
    );
    strangers.logged(&line);
    assert_eq!(strangers.offences(), 0, "whoever has many is no enemy");
    // This host's own are not counted.
    let own: Vec<_> = (0..5).map(|_| server.select("fred")).collect();
    drop(own);
}

#[test]
fn those_who_come_too_often_are_refused_and_the_log_tells_fail2ban_who() {
    let Some(strangers) =
        Strangers::new("service.imap.loginsperminute = 4\nservice.imap.maxprelogin = 6\n")
    else {
        return;
    };
    let server = strangers.site.start();
    let said = strangers.say(&[
        "a LOGIN fred wrong",
        r#"a LOGIN "x: login failed from 203.0.113.9, user \"" wrong"#,
        "b LOGIN fred fred",
        "c LOGIN mary mary",
        "d LOGIN fred fred",
        "d AUTHENTICATE PLAIN AGZyZWQAZnJlZA==",
    ]);
    let refused = "t NO [AUTHENTICATIONFAILED";
    assert_eq!(said[..2], [refused, refused]);
    assert!(
        said[2..4].iter().all(|line| line.starts_with("t OK")),
        "{said:?}"
    );
    assert_eq!(said[4..], ["t NO [LIMIT", "t NO [LIMIT"]);
    assert_eq!(met(&strangers, &server, "LoginRate"), 2);
    let address = strangers.address;
    strangers.logged(&format!(
        "event=refusal result=loginsperminute ip={address} user=\"fred\" "
    ));
    let noops = ["e NOOP"; 7];
    let said = strangers.say(&noops);
    assert_eq!(said[5], "t OK NOOP completed");
    assert_eq!(said[6], "* BYE [LIMIT");
    assert_eq!(met(&strangers, &server, "PreloginCommands"), 1);
    strangers.logged(&format!("event=refusal result=maxprelogin ip={address} "));
    strangers.logged("user=\"x: login failed from 203.0.113.9, user \\\"\"");
    // Two wrong passwords, two logins too many, one that said too much.
    assert_eq!(strangers.offences(), 5);
    server.select("fred");
}

#[test]
fn who_says_a_byte_now_and_then_holds_no_place() {
    let site = Site::bare("service.imap.logintimeout = 5\n");
    let server = site.start();
    let mut slow = Talk::to(server.imap);
    slow.line();
    let mut exchange = Talk::to(server.imap);
    exchange.line();
    exchange.say("a AUTHENTICATE PLAIN\r\n");
    exchange.line();
    let mut asking = Talk::to(server.imap);
    asking.line();
    let begun = Instant::now();
    for number in 0..4 {
        std::thread::sleep(Duration::from_secs(1));
        slow.say("x");
        exchange.say("A");
        asking.ask(&format!("a{number} NOOP"));
    }
    for talk in [&mut slow, &mut exchange] {
        assert!(talk.line().starts_with("* BYE"));
        assert_eq!(talk.line(), "");
    }
    // What was said last was no whole command.
    assert!(begun.elapsed() < Duration::from_secs(8));
    asking.ask("b LOGIN fred fred");
    std::thread::sleep(Duration::from_secs(6));
    asking.ask("c NOOP");
}
