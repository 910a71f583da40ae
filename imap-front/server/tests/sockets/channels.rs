//! Logins that make use of the TLS connection they come over: SCRAM-SHA-256-PLUS, spoken by Python
//! over `openssl s_client`, and EXTERNAL, with certificates made by `openssl`.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use admin::users::{self, NewPassword, Quota};

use crate::site::{Server, Site, Talk};

struct Secure {
    site: Site,
    port: u16,
}

impl Secure {
    fn new(options: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Site::new(&format!("service.imap.sslport = {port}\n{options}"));
        site.show_certificate("localhost");
        Self { site, port }
    }

    fn python(&self, script: &str, arguments: &[&str]) -> String {
        let output = Command::new("python3")
            .args(["-c", script])
            .arg(self.site.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said + &String::from_utf8_lossy(&output.stderr)
    }
}

/// `folder port way version mechanism header bound`: SCRAM over `s_client`, which tells the
/// exporter; `bound` is the label that the client binds to.
const PLUS: &str = r#"
import base64, hashlib, hmac, os, subprocess, sys
port, way, version, mechanism, header, label = sys.argv[2:8]
command = ['timeout', '60', 'openssl', 's_client', '-nocommands', '-connect', f'127.0.0.1:{port}',
           version, '-keymatexport', label, '-keymatexportlen', '32']
if way == 'starttls':
    command += ['-starttls', 'imap']
client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
def say(text):
    client.stdin.write(text + b'\r\n')
    client.stdin.flush()
exporter, first = b'', b''
while True:
    line = client.stdout.readline()
    assert line, 'the connection ended'
    if b'Keying material: ' in line:
        exporter = bytes.fromhex(line.split(b': ')[1].decode())
    if line.startswith((b'* OK', b'. OK')):
        first = line
    if exporter and (first or way == 'starttls'):
        break
say(b'c CAPABILITY')
while True:
    line = client.stdout.readline()
    if line.startswith(b'* CAPABILITY'):
        capabilities = line.split()
    if line.startswith(b'c OK'):
        break
assert way == 'starttls' or first.split(b']')[0].split()[3:] == capabilities[2:], first
print('offers', b'AUTH=SCRAM-SHA-256-PLUS' in capabilities)
def encoded(text): return base64.b64encode(text)
def answer():
    line = client.stdout.readline()
    while line and not line.startswith((b'+', b'a ')):
        line = client.stdout.readline()
    return line
def sha(key, text): return hmac.new(key, text, hashlib.sha256).digest()
bare = b'n=fred,r=' + encoded(os.urandom(18))
say(b'a AUTHENTICATE ' + mechanism.encode() + b' ' + encoded(header.encode() + bare))
line = answer()
if line.startswith(b'+'):
    first = base64.b64decode(line[2:])
    fields = dict(field.split(b'=', 1) for field in first.split(b','))
    salted = hashlib.pbkdf2_hmac('sha256', b'fred', base64.b64decode(fields[b's']),
                                 int(fields[b'i']))
    key = sha(salted, b'Client Key')
    bound = exporter if header.startswith('p=') else b''
    without = b'c=' + encoded(header.encode() + bound) + b',r=' + fields[b'r']
    message = bare + b',' + first + b',' + without
    signature = sha(hashlib.sha256(key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(key, signature))
    say(encoded(without + b',p=' + encoded(proof)))
    line = answer()
    if line.startswith(b'+'):
        expected = b'v=' + encoded(sha(sha(salted, b'Server Key'), message))
        assert base64.b64decode(line[2:]) == expected, line
        say(b'')
        line = answer()
print(line.decode().split(']')[0].strip())
client.stdin.close()
client.terminate()
"#;

const LABEL: &str = "EXPORTER-Channel-Binding";

#[test]
fn a_proof_is_bound_to_the_channel_it_comes_over() {
    let secure = Secure::new("service.imap.scram = yes\n");
    let path = admin::Base::new(secure.site.folder.path()).users();
    fs::write(&path, "").unwrap();
    let new = NewPassword {
        password: b"fred",
        verifier: true,
    };
    users::add(&path, "fred", new, Quota::default()).unwrap();
    let server = secure.site.start();
    let (imap, imaps) = (server.imap.port().to_string(), secure.port.to_string());
    let login = |way, version, mechanism, header, label| {
        let port = if way == "starttls" { &imap } else { &imaps };
        let said = secure.python(PLUS, &[port, way, version, mechanism, header, label]);
        said.trim().to_owned()
    };
    let plus = "SCRAM-SHA-256-PLUS";
    let (bound, refused) = (
        "p=tls-exporter,,",
        "offers True\na NO [AUTHENTICATIONFAILED",
    );
    for way in ["implicit", "starttls"] {
        let said = login(way, "-tls1_3", plus, bound, LABEL);
        assert!(
            said.starts_with("offers True\na OK [CAPABILITY"),
            "{way}: {said}"
        );
    }
    // The right password over a channel with other bytes: somebody is between.
    let other = login(
        "implicit",
        "-tls1_3",
        plus,
        bound,
        "EXPORTER-Channel-Bindings",
    );
    assert_eq!(other, refused);
    for header in ["p=tls-unique,,", "n,,"] {
        assert_eq!(
            login("implicit", "-tls1_3", plus, header, LABEL),
            refused,
            "{header}"
        );
    }
    // Whoever could bind and thinks that we can't was told so by somebody else.
    let plain = "SCRAM-SHA-256";
    assert_eq!(login("implicit", "-tls1_3", plain, "y,,", LABEL), refused);
    let said = login("implicit", "-tls1_3", plain, "n,,", LABEL);
    assert!(said.starts_with("offers True\na OK"), "{said}");
    // TLS 1.2 has nothing to bind to.
    let said = login("implicit", "-tls1_2", plus, bound, LABEL);
    assert_eq!(said, "offers False\na NO [CANNOT");
    let said = login("implicit", "-tls1_2", plain, "y,,", LABEL);
    assert!(said.starts_with("offers False\na OK"), "{said}");
    let mut talk = Talk::to(server.imap);
    let greeting = talk.line();
    assert!(
        greeting.contains("AUTH=SCRAM-SHA-256 ") && !greeting.contains("256-PLUS"),
        "{greeting}"
    );
}

/// Authorities `ca` and `other`, and certificates by them in `NAME.pem`, keys in `NAME.key`.
const CERTIFICATES: &str = r#"
set -e
for ca in ca other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key \
        -out $ca.pem -subj "/CN=$ca" -days 30
done
issue() {
    name=$1; ca=$2; subject=$3; extension=$4; days=$5
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key \
        -out $name.csr -subj "$subject"
    printf 'basicConstraints = CA:FALSE\n%s\n' "$extension" >$name.ext
    openssl x509 -req -in $name.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -out $name.pem \
        -extfile $name.ext -days $days
}
issue fred ca /CN=somebody 'subjectAltName = email:fred' 30
issue mary ca /CN=fred/emailAddress=mary '' 30
issue nobody ca /CN=x 'subjectAltName = email:nobody' 30
issue nameless ca /CN=x '' 30
issue two ca /CN=fred/CN=mary '' 30
issue stranger other /CN=fred 'subjectAltName = email:fred' 30
"#;

/// `folder port way version certificate authorization`: how it ends.
const EXTERNAL: &str = r#"
import imaplib, ssl, sys
folder, port, way, version, certificate, authorization = sys.argv[1:7]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.maximum_version = getattr(ssl.TLSVersion, version)
if certificate:
    context.load_cert_chain(f'{folder}/{certificate}.pem', f'{folder}/{certificate}.key')
try:
    if way == 'starttls':
        client = imaplib.IMAP4('127.0.0.1', int(port))
        assert 'AUTH=EXTERNAL' not in client.capabilities
        client.starttls(context)
    else:
        client = imaplib.IMAP4_SSL('127.0.0.1', int(port), ssl_context=context)
except (ssl.SSLError, OSError, imaplib.IMAP4.abort) as error:
    sys.exit(print('no connection'))
print('offered' if 'AUTH=EXTERNAL' in client.capabilities else 'not offered')
try:
    client.authenticate('EXTERNAL', lambda _: authorization.encode())
    client.select('INBOX')
    print(client.status('INBOX', '(MESSAGES)')[1][0].decode())
except client.error as error:
    print(str(error).split(']')[0])
"#;

impl Secure {
    fn with_certificates(options: &str) -> Self {
        let secure = Self::new(&format!("ssl.clientca = config/ca.pem\n{options}"));
        let folder = secure.site.folder.path();
        let mut shell = Command::new("sh");
        shell.args(["-c", CERTIFICATES]).current_dir(folder);
        let made = shell.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(made.status().unwrap().success());
        secure.trust("ca");
        secure
    }

    fn trust(&self, authority: &str) {
        let folder = self.site.folder.path();
        let from = folder.join(format!("{authority}.pem"));
        fs::copy(from, folder.join("config/ca.pem")).unwrap();
    }

    fn external(&self, server: &Server, way: &str, version: &str, who: (&str, &str)) -> String {
        let port = if way == "starttls" {
            server.imap.port()
        } else {
            self.port
        };
        let port = port.to_string();
        let said = self.python(EXTERNAL, &[&port, way, version, who.0, who.1]);
        said.trim().to_owned()
    }
}

#[test]
fn a_client_logs_in_by_its_certificate() {
    let secure = Secure::with_certificates("ssl.clientcerts = optional\nstore.admins = mary\n");
    let server = secure.site.start();
    server.deliver(&["fred"], "Subject: x\r\n\r\nHello");
    let (freds, marys) = ("offered\nINBOX (MESSAGES 1)", "offered\nINBOX (MESSAGES 0)");
    for way in ["implicit", "starttls"] {
        for version in ["TLSv1_2", "TLSv1_3"] {
            let external = |who| secure.external(&server, way, version, who);
            assert_eq!(external(("fred", "")), freds, "{way} {version}");
            assert_eq!(external(("fred", "FRED")), freds);
            assert_eq!(
                external(("mary", "")),
                marys,
                "emailAddress, where there is no other"
            );
            assert_eq!(external(("mary", "fred")), freds, "an administrator");
            for nobody in ["", "nameless"] {
                let said = external((nobody, ""));
                assert!(said.starts_with("not offered\n"), "{said}");
                assert!(!said.contains("INBOX"), "{said}");
            }
            assert_eq!(external(("stranger", "")), "no connection");
        }
    }
    let refused = "offered\n[AUTHENTICATIONFAILED";
    let external = |who| secure.external(&server, "implicit", "TLSv1_3", who);
    assert_eq!(external(("fred", "mary")), refused, "no administrator");
    assert_eq!(external(("nobody", "")), refused);
    let log = secure.site.log();
    assert!(
        log.contains(r#"result=failed ip=local user="nobody""#),
        "{log}"
    );
    let users = admin::Base::new(secure.site.folder.path()).users();
    users::set_locked(&users, "fred", true).unwrap();
    assert_eq!(external(("fred", "")), refused, "locked");
    assert_eq!(external(("mary", "fred")), refused);
}

#[test]
fn a_certificate_that_is_required_is_asked_of_mail_clients_only() {
    let options = "ssl.clientcerts = required\nssl.clientname = cn\n";
    let secure = Secure::with_certificates(options);
    let server = secure.site.start();
    for way in ["implicit", "starttls"] {
        for version in ["TLSv1_2", "TLSv1_3"] {
            let external = |who| secure.external(&server, way, version, who);
            assert_eq!(external(("", "")), "no connection", "{way} {version}");
            assert_eq!(external(("stranger", "")), "no connection");
            // By its common name.
            assert_eq!(external(("mary", "")), "offered\nINBOX (MESSAGES 0)");
        }
    }
    // Not by the first of two.
    let said = secure.external(&server, "implicit", "TLSv1_3", ("two", ""));
    assert_eq!(said, "offered\n[AUTHENTICATIONFAILED");
    let log = secure.site.log();
    let why = r#"user="" "#;
    let line = log
        .lines()
        .find(|line| line.contains("several common names"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("event=login result=failed ip=local") && line.contains(why),
        "{line}"
    );
    let deliver = r#"
import smtplib, ssl, sys
deliverer = smtplib.LMTP('127.0.0.1', int(sys.argv[2]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
deliverer.ehlo('here')
deliverer.starttls(context=context)
print(deliverer.sendmail('a@example.org', ['fred'], 'Subject: x\r\n\r\nHello'))
"#;
    let said = secure.python(deliver, &[&server.lmtp.port().to_string()]);
    assert_eq!(said.trim(), "{}");
}

#[test]
fn authorities_are_changed_by_refresh_and_nobody_comes_back_by_a_ticket() {
    let secure = Secure::with_certificates("ssl.clientcerts = optional\n");
    let folder = secure.site.folder.path().to_owned();
    let server = secure.site.start();
    let mut idle = server.idle("fred");
    let external = |who| secure.external(&server, "implicit", "TLSv1_3", (who, ""));
    assert!(external("fred").starts_with("offered"));
    // What a client keeps of its session opens no door: every handshake is whole.
    let reconnect = |version: &str| {
        let command = format!(
            "(sleep 1; echo x LOGOUT; sleep 1) | timeout 30 openssl s_client -connect \
             127.0.0.1:{} {version} -cert fred.pem -key fred.key -sess_out session \
             >first 2>&1; (sleep 1; echo x LOGOUT; sleep 1) | timeout 30 openssl s_client \
             -connect 127.0.0.1:{} {version} $(test -s session && echo -sess_in session) 2>&1",
            secure.port, secure.port
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &command]).current_dir(&folder).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let greeting = said.lines().find(|line| line.starts_with("* OK"));
        let greeting = greeting.unwrap_or_else(|| panic!("{said}")).to_owned();
        let first = fs::read_to_string(folder.join("first")).unwrap();
        assert!(first.contains("AUTH=EXTERNAL"), "{first}");
        let _ = fs::remove_file(folder.join("session"));
        (greeting, said.contains("Reused"))
    };
    for version in ["-tls1_3", "-tls1_2"] {
        let (greeting, reused) = reconnect(version);
        assert!(
            !reused && !greeting.contains("EXTERNAL"),
            "{version}: {greeting}"
        );
    }
    secure.trust("other");
    secure.site.refresh(&server, "were read again");
    assert_eq!(external("fred"), "no connection");
    assert!(external("stranger").starts_with("offered"));
    fs::write(folder.join("config/ca.pem"), "nonsense").unwrap();
    secure.site.refresh(&server, "those known before are kept");
    assert!(external("stranger").starts_with("offered"));
    idle.say("DONE\r\n");
    assert!(idle.line().starts_with("i OK"), "sessions stay");
    let check = || {
        let imapd = env!("CARGO_BIN_EXE_imapd");
        let mut command = Command::new(imapd);
        let output = command.args(["--check", "--base"]).arg(&folder).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    drop(server);
    let refused = secure.site.try_start(":").err().unwrap();
    assert!(
        refused.contains("ca.pem: holds no certificate of an authority"),
        "{refused}"
    );
    assert!(
        check().contains("ca.pem: holds no certificate of an authority"),
        "{}",
        check()
    );
    secure.trust("ca");
    assert!(check().contains("ca.pem for clients: good"), "{}", check());
}

#[test]
fn who_asks_for_certificates_must_say_whose() {
    let secure = Secure::new("ssl.clientcerts = optional\n");
    let refused = secure.site.try_start(":").err().unwrap();
    assert!(refused.contains("ssl.clientca names no file"), "{refused}");
}
