//! SCRAM-SHA-256, spoken by a client in Python that shares no code with the server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use admin::users::{self, NewPassword, Quota};

use crate::site::{Server, Site};

/// `port user password way`: prints `challenge ROUNDS SALT`, and then how it ended.
const CLIENT: &str = r#"
import base64, hashlib, hmac, os, socket, sys
port, user, password, way = int(sys.argv[1]), *sys.argv[2:5]
connection = socket.create_connection(('127.0.0.1', port), timeout=60)
lines = connection.makefile('rb')
greeting = lines.readline()
assert b'AUTH=SCRAM-SHA-256' in greeting, greeting
def say(text): connection.sendall(text + b'\r\n')
def encoded(text): return base64.b64encode(text)
def challenge():
    line = lines.readline()
    assert line.startswith(b'+ '), line
    return base64.b64decode(line[2:])
def sha(key, text): return hmac.new(key, text, hashlib.sha256).digest()

def exchange(tag, way):
    nonce = encoded(os.urandom(18))
    bare = b'n=' + user.encode() + b',r=' + nonce
    if way == 'initial':
        say(tag + b' AUTHENTICATE SCRAM-SHA-256 ' + encoded(b'n,,' + bare))
    else:
        say(tag + b' AUTHENTICATE SCRAM-SHA-256')
        assert challenge() == b''
        say(encoded(b'n,,' + bare))
    first = challenge()
    fields = dict(field.split(b'=', 1) for field in first.split(b','))
    assert fields[b'r'].startswith(nonce) and len(fields[b'r']) >= len(nonce) + 16
    salt, rounds = base64.b64decode(fields[b's']), int(fields[b'i'])
    print('challenge', rounds, fields[b's'].decode())
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), salt, rounds)
    key = sha(salted, b'Client Key')
    without = b'c=biws,r=' + fields[b'r']
    message = bare + b',' + first + b',' + without
    signature = sha(hashlib.sha256(key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(key, signature))
    final = without + b',p=' + encoded(proof)
    say(encoded(final))
    line = lines.readline()
    if not line.startswith(b'+ '):
        return line, final
    expected = sha(sha(salted, b'Server Key'), message)
    assert base64.b64decode(line[2:]) == b'v=' + encoded(expected), line
    if way == 'wait':
        print('proved', flush=True)
        sys.stdin.readline()
    say(b'*' if way == 'cancel' else b'')
    return lines.readline(), final

line, final = exchange(b'a', way)
if way == 'replay':
    assert line.startswith(b'a OK'), line
    connection = socket.create_connection(('127.0.0.1', port), timeout=60)
    lines = connection.makefile('rb')
    lines.readline()
    say(b'a AUTHENTICATE SCRAM-SHA-256 ' + encoded(b'n,,n=' + user.encode() + b',r=x'))
    challenge()
    say(encoded(final))
    line = lines.readline()
say(b's SELECT INBOX')
selected = lines.readline()
while selected.startswith(b'*'):
    selected = lines.readline()
print(line.decode().strip().split(']')[0], '/', selected.decode().split()[1])
"#;

/// The rounds and salt of a login's challenge, and how it ended.
fn login(server: &Server, user: &str, password: &str, way: &str) -> (String, String) {
    let output = Command::new("python3")
        .args(["-c", CLIENT])
        .arg(server.imap.port().to_string())
        .args([user, password, way])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = said.lines().map(str::to_owned);
    let (Some(challenge), Some(end)) = (lines.next(), lines.next()) else {
        panic!("{said}{error}");
    };
    (challenge, end)
}

fn ended(server: &Server, user: &str, password: &str, way: &str) -> String {
    login(server, user, password, way).1
}

/// A site with these users, whose passwords are their names.
fn site(options: &str, users: &[(&str, bool)]) -> Site {
    let site = Site::bare(options);
    let path = admin::Base::new(site.folder.path()).users();
    std::fs::write(&path, "").unwrap();
    for (name, verifier) in users {
        let verifier = *verifier;
        let password = name.as_bytes();
        let new = NewPassword { password, verifier };
        users::add(&path, name, new, Quota::default()).unwrap();
    }
    site
}

#[test]
fn a_client_logs_in_by_proofs_and_by_nothing_less() {
    let site = site("", &[("fred", true), ("mary", true)]);
    let server = site.start();
    for way in ["initial", "lines"] {
        assert!(ended(&server, "fred", "fred", way).starts_with("a OK [CAPABILITY"));
        assert!(ended(&server, "FRED", "fred", way).ends_with("/ OK"));
    }
    let refused = "a NO [AUTHENTICATIONFAILED / BAD";
    assert_eq!(ended(&server, "fred", "mary", "initial"), refused);
    assert_eq!(ended(&server, "nobody", "fred", "initial"), refused);
    assert_eq!(ended(&server, "fred", "fred", "replay"), refused);
    let cancelled = ended(&server, "mary", "mary", "cancel");
    assert!(cancelled.starts_with("a BAD Cancelled"), "{cancelled}");
    assert!(cancelled.ends_with("/ BAD"), "{cancelled}");
    let failures = site
        .log()
        .matches("event=login result=failed ip=local")
        .count();
    assert_eq!(failures, 3, "{}", site.log());
    let computed = server.statistics(&site)["PasswordsComputed"];
    assert_eq!(computed, 0, "proofs cost microseconds");
}

/// Nobody can tell who is there: rounds are the same, and a salt stays what it was.
#[test]
fn whoever_is_not_there_has_a_salt_of_their_own_that_stays() {
    let site = site("", &[("fred", true)]);
    let server = site.start();
    let [known, unknown, other] =
        ["fred", "nobody", "someone"].map(|user| login(&server, user, "x", "initial").0);
    assert_ne!(unknown, other);
    let shape = |challenge: &str| {
        let words: Vec<&str> = challenge.split(' ').collect();
        (words[1].to_owned(), words[2].len())
    };
    assert_eq!(shape(&known), shape(&unknown));
    drop(server);
    let server = site.start();
    assert_eq!(login(&server, "nobody", "x", "initial").0, unknown);
    assert_eq!(login(&server, "NoBody", "x", "initial").0, unknown);
}

/// A user who has a hash only is learned at the next login with the password; SCRAM is offered once
/// there is nobody else.
#[test]
fn verifiers_are_made_at_logins_and_then_scram_is_offered() {
    let site = site("", &[("fred", true), ("mary", false)]);
    let base = admin::Base::new(site.folder.path());
    let before = std::fs::read(base.users()).unwrap();
    let server = site.start();
    assert!(!server.greeting().contains("SCRAM"));
    server.select("mary");
    let patience = Instant::now() + Duration::from_secs(30);
    while !site.log().contains("SCRAM-SHA-256 is offered") {
        assert!(Instant::now() < patience, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ended(&server, "mary", "mary", "initial").ends_with("/ OK"));
    assert!(ended(&server, "mary", "fred", "initial").ends_with("/ BAD"));
    // A user comes who has none.
    let new = NewPassword {
        password: b"ann",
        verifier: false,
    };
    users::add(&base.users(), "ann", new, Quota::default()).unwrap();
    while server.greeting().contains("SCRAM") {
        assert!(Instant::now() < patience, "{}", site.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    users::delete(&base.users(), "ann").unwrap();
    assert_eq!(
        std::fs::read(base.users()).unwrap(),
        before,
        "it writes data/ only"
    );
    drop(server);
    let server = site.start();
    assert!(
        server.greeting().contains("AUTH=SCRAM-SHA-256"),
        "it was kept"
    );
    assert!(ended(&server, "mary", "mary", "initial").ends_with("/ OK"));
}

/// A proof is as good as the password: who has shown it is that user, and no longer once the
/// password is another, even before the client's last word.
#[test]
fn a_proof_of_a_password_that_was_changed_meanwhile_logs_nobody_in() {
    let site = site("service.imap.shards = 1\n", &[("fred", true)]);
    let path = admin::Base::new(site.folder.path()).users();
    let server = site.start();
    let mut other = server.select("fred");
    let mut client = Command::new("python3")
        .args(["-c", CLIENT])
        .arg(server.imap.port().to_string())
        .args(["fred", "fred", "wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut line = || lines.next().map(Result::unwrap);
    while line().unwrap() != "proved" {}
    users::set_password(&path, "fred", b"another").unwrap();
    assert!(
        other.line().starts_with("* BYE"),
        "those who were in are out"
    );
    // It may be cut before it has said so.
    let _ = client.stdin.take().unwrap().write_all(b"\n");
    let end = line().unwrap_or_default();
    assert!(!end.starts_with("a OK"), "{end}");
    client.wait().unwrap();
    assert_eq!(server.statistics(&site)["Revoked"], 2);
}

#[test]
fn it_is_offered_as_the_option_says() {
    for (option, verifier, offered) in [("no", true, false), ("yes", false, true)] {
        let options = format!("service.imap.scram = {option}\n");
        let site = site(&options, &[("fred", verifier)]);
        let server = site.start();
        assert_eq!(server.greeting().contains("SCRAM"), offered, "{option}");
        server.select("fred");
    }
}
