//! Bearer tokens, made with `openssl` and spoken by Python's `imaplib`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::site::{Server, Site, Talk};

/// `port folder` and lines of JSON, a login each, at once: `mechanism`, `user`, how it is given
/// (`way`: initial or line), the `key` that signs, `header` and `claims`; `flip` changes a byte of
/// that part of the token. Prints how each ended.
const CLIENT: &str = r#"
import base64, concurrent.futures, hashlib, hmac, imaplib, json, subprocess, sys, time
port, folder = int(sys.argv[1]), sys.argv[2]

def b64(data): return base64.urlsafe_b64encode(data).rstrip(b'=')

def integer(data):
    length = data[1]
    return data[2:2 + length], data[2 + length:]

def signature(case, text):
    key = case['key']
    path = f'{folder}/{key}.pem'
    if key == 'secret':
        return hmac.new(open(f'{folder}/secret', 'rb').read(), text, hashlib.sha256).digest()
    if key.startswith('public:'):
        public = open(f'{folder}/{key[7:]}.pub', 'rb').read()
        return hmac.new(public, text, hashlib.sha256).digest()
    if case['header']['alg'] == 'PS256':
        return subprocess.run(['openssl', 'dgst', '-sha256', '-sign', path, '-sigopt',
                               'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:-1'],
                              input=text, stdout=subprocess.PIPE, check=True).stdout
    if key.startswith('ed'):
        open(f'{folder}/text-{id(text)}', 'wb').write(text)
        return subprocess.check_output(['openssl', 'pkeyutl', '-sign', '-inkey', path, '-rawin',
                                        '-in', f'{folder}/text-{id(text)}'])
    made = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', path], input=text,
                          stdout=subprocess.PIPE, check=True).stdout
    if key.startswith('rsa'):
        return made
    r, rest = integer(made[2:])
    s, _ = integer(rest)
    return r.lstrip(b'\0').rjust(32, b'\0') + s.lstrip(b'\0').rjust(32, b'\0')

def token(case):
    claims = {'exp': int(time.time()) + 300, 'iss': 'https://id.example', 'aud': 'imap',
              'scope': 'mail openid', 'sub': 'fred'}
    claims.update(case.get('claims', {}))
    parts = [b64(json.dumps(case['header']).encode()), b64(json.dumps(claims).encode())]
    parts.append(b64(signature(case, b'.'.join(parts))))
    if 'flip' in case:
        part = parts[case['flip']]
        parts[case['flip']] = part[:10] + (b'A' if part[10:11] != b'A' else b'B') + part[11:]
    return b'.'.join(parts)

def login(case):
    user, heard = case.get('user', '').encode(), []
    def answer(challenge):
        heard.append(challenge)
        if challenge:
            return case.get('end', '\x01').encode()
        if case['mechanism'] == 'XOAUTH2':
            return b'user=' + user + b'\x01auth=Bearer ' + token(case) + b'\x01\x01'
        header = b'n,a=' + user + b',' if user else b'n,,'
        return header + b'\x01host=localhost\x01auth=Bearer ' + token(case) + b'\x01\x01'
    client = imaplib.IMAP4('127.0.0.1', port)
    offered = 'AUTH=' + case['mechanism'] in client.capabilities
    assert offered, client.capabilities
    if case.get('way') == 'initial':
        client.send(b'a AUTHENTICATE ' + case['mechanism'].encode() + b' '
                    + base64.b64encode(answer(b'')) + b'\r\n')
        line = client.readline()
        if line.startswith(b'+ '):
            heard.append(base64.b64decode(line[2:]))
            client.send(b'AQ==\r\n')
            line = client.readline()
        why = heard[-1].decode() if len(heard) > 1 else ''
        return line.split(b' ')[1].decode() + ' ' + why
    try:
        client.authenticate(case['mechanism'], answer)
        client.select('INBOX')
        return 'OK ' + client.state
    except client.error as error:
        return f'{error} {heard[-1].decode()}'

with concurrent.futures.ThreadPoolExecutor(32) as pool:
    for end in pool.map(login, [json.loads(line) for line in sys.stdin]):
        print(end)
"#;

struct Issuer {
    site: Site,
}

const OPTIONS: &str = "oauth.keys = config/keys\noauth.issuer = https://id.example\n\
                       oauth.audience = imap\noauth.scope = mail\nstore.admins = mary\n";

impl Issuer {
    fn new() -> Self {
        let issuer = Self {
            site: Site::new(OPTIONS),
        };
        let make = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem && \
                    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem && \
                    openssl genpkey -algorithm ED25519 -out ed.pem && \
                    openssl genpkey -algorithm ED25519 -out ed2.pem && \
                    for key in rsa ec ed ed2; do \
                        openssl pkey -in $key.pem -pubout -out $key.pub || exit 1; \
                    done && printf 0123456789abcdef0123456789abcdef >secret";
        let mut shell = Command::new("sh");
        shell.args(["-c", make]).current_dir(issuer.folder());
        let made = shell.stderr(Stdio::null()).status().unwrap();
        assert!(made.success());
        issuer.publish(&["rsa", "ec", "ed"]);
        issuer
    }

    fn folder(&self) -> &std::path::Path {
        self.site.folder.path()
    }

    fn public(&self, key: &str) -> String {
        fs::read_to_string(self.folder().join(format!("{key}.pub"))).unwrap()
    }

    /// Puts these public keys into the file.
    fn publish(&self, keys: &[&str]) {
        let all: String = keys.iter().map(|key| self.public(key)).collect();
        fs::write(self.folder().join("config/keys"), all).unwrap();
    }

    /// How logins end.
    fn logins(&self, server: &Server, cases: &[&str]) -> Vec<String> {
        let mut client = Command::new("python3")
            .args(["-c", CLIENT])
            .arg(server.imap.port().to_string())
            .arg(self.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = cases.join("\n");
        client
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = client.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let ends: Vec<String> = said.lines().map(str::to_owned).collect();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(ends.len(), cases.len(), "{said}{error}");
        ends
    }
}

#[test]
fn tokens_of_each_kind_of_key_log_in_in_each_way() {
    let issuer = Issuer::new();
    let server = issuer.site.start();
    let long = "x".repeat(3000);
    let long = format!(
        r#"{{"mechanism": "OAUTHBEARER", "way": "initial", "key": "ed",
            "header": {{"alg": "EdDSA"}}, "claims": {{"groups": "{long}"}}}}"#
    )
    .replace('\n', " ");
    let long_line = long.replace(r#""way": "initial", "#, "");
    let cases = [
        r#"{"mechanism": "OAUTHBEARER", "key": "rsa", "header": {"alg": "RS256"}}"#,
        r#"{"mechanism": "OAUTHBEARER", "key": "rsa", "header": {"alg": "PS256"}}"#,
        r#"{"mechanism": "OAUTHBEARER", "key": "ec", "header": {"alg": "ES256"}, "user": "fred"}"#,
        r#"{"mechanism": "OAUTHBEARER", "key": "ed", "header": {"alg": "EdDSA"}, "user": "FRED"}"#,
        r#"{"mechanism": "XOAUTH2", "key": "rsa", "header": {"alg": "RS256"}, "user": "fred"}"#,
        r#"{"mechanism": "XOAUTH2", "key": "ec", "header": {"alg": "ES256"}, "user": "fred",
            "claims": {"aud": ["web", "imap"], "scope": null, "scp": ["mail"]}}"#,
        r#"{"mechanism": "OAUTHBEARER", "way": "initial", "key": "ed",
            "header": {"alg": "EdDSA"}}"#,
        // An administrator, as somebody else.
        r#"{"mechanism": "OAUTHBEARER", "key": "ed", "header": {"alg": "EdDSA"}, "user": "fred",
            "claims": {"sub": "mary"}}"#,
        &long,
        &long_line,
    ]
    .map(|case| case.replace('\n', " "));
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    for (case, end) in cases.iter().zip(issuer.logins(&server, &cases)) {
        assert!(end.starts_with("OK"), "{case}: {end}");
    }
    assert!(
        !issuer.site.log().contains("login failed"),
        "{}",
        issuer.site.log()
    );
}

const ED: &str = r#""key": "ed", "header": {"alg": "EdDSA"}"#;

fn case(user: &str, rest: &str) -> String {
    let rest = rest.replace("ED", ED);
    format!(r#"{{"mechanism": "OAUTHBEARER", "user": "{user}", {rest}}}"#)
}

/// As whom somebody comes, what is wrong with the token, and what the log says of it.
const WRONG: [(&str, &str, &str); 11] = [
    ("expired", r#"ED, "claims": {"exp": 1000}"#, "has expired"),
    (
        "early",
        r#"ED, "claims": {"nbf": 9999999999}"#,
        "is not valid yet",
    ),
    (
        "issuer",
        r#"ED, "claims": {"iss": "https://evil.example"}"#,
        "not issued by",
    ),
    ("audience", r#"ED, "claims": {"aud": "web"}"#, "is not for"),
    (
        "claim",
        r#"ED, "claims": {"sub": 7}"#,
        r#"lacks the claim "sub""#,
    ),
    (
        "wrong",
        r#""key": "ed2", "header": {"alg": "EdDSA"}"#,
        "a wrong signature",
    ),
    ("changed", r#"ED, "flip": 1"#, "a wrong signature"),
    ("signature", r#"ED, "flip": 2"#, "a wrong signature"),
    (
        "none",
        r#""key": "ed", "header": {"alg": "none"}"#,
        "is malformed",
    ),
    ("forged", FORGED, "is malformed"),
    (
        "confused",
        r#""key": "public:rsa", "header": {"alg": "HS256"}"#,
        "no key for its token's HS256",
    ),
];

/// A token that would write a line of its own.
const FORGED: &str =
    r#""key": "ed", "header": {"alg": "\nWARN x: login failed from 203.0.113.9, user \""}"#;

/// Each with its line in the log, by which an address that guesses is known.
#[test]
fn whatever_is_wrong_with_a_token_is_refused_and_logged() {
    let issuer = Issuer::new();
    let server = issuer.site.start();
    let cases = WRONG.map(|(user, rest, _)| case(user, rest));
    let ends = issuer.logins(&server, &cases.each_ref().map(String::as_str));
    let log = issuer.site.log();
    for ((user, _, why), end) in WRONG.iter().zip(&ends) {
        assert!(end.contains("[AUTHENTICATIONFAILED]"), "{user}: {end}");
        let told = r#"{"status":"invalid_token","scope":"mail"}"#;
        assert!(end.contains(told), "{user}: {end}");
        // Who lets the server tell that a token has expired does not guess.
        let verdict = match *user {
            "expired" => "expired",
            _ => "failed",
        };
        let start = &format!("event=login result={verdict} ip=local user={user:?} ");
        let line = log.lines().find(|line| line.contains(start));
        let line = line.unwrap_or_else(|| panic!("{user}: {log}"));
        let said = line.replace(r#"\""#, "\"");
        assert!(said.contains(why), "{line}");
    }
    assert!(!log.contains("203.0.113.9"), "nothing of a token: {log}");
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/share/fail2ban/ensign.conf");
    let filter = fs::read_to_string(filter).unwrap();
    assert!(
        filter.contains(r#"login failed event=login result=failed ip=<ADDR> user=""#),
        "as the lines begin"
    );
}

#[test]
fn a_token_that_is_right_opens_no_other_door() {
    let issuer = Issuer::new();
    let server = issuer.site.start();
    let cases = [
        case("scope", r#"ED, "claims": {"scope": "openid"}"#),
        case("", r#"ED, "claims": {"sub": "nobody"}"#),
        // Fred is no administrator.
        case("mary", "ED"),
    ];
    let ends = issuer.logins(&server, &cases.each_ref().map(String::as_str));
    let log = issuer.site.log();
    assert!(ends[0].contains("[AUTHORIZATIONFAILED]"), "{ends:?}");
    let told = r#"{"status":"insufficient_scope","scope":"mail"}"#;
    assert!(ends[0].contains(told), "{ends:?}");
    let line = r#"why="its token lacks the scope \"mail\"""#;
    assert!(log.contains(line), "{log}");
    for (end, user) in ends[1..].iter().zip(["nobody", "fred"]) {
        assert!(end.contains("[AUTHENTICATIONFAILED]"), "{end}");
        let line = format!("result=failed ip=local user={user:?}");
        assert!(log.contains(&line), "{log}");
    }
}

#[test]
fn a_locked_user_has_no_token() {
    let issuer = Issuer::new();
    let users = admin::Base::new(issuer.folder()).users();
    let server = issuer.site.start();
    let case =
        r#"{"mechanism": "XOAUTH2", "user": "fred", "key": "ed", "header": {"alg": "EdDSA"}}"#;
    assert!(issuer.logins(&server, &[case])[0].starts_with("OK"));
    admin::users::set_locked(&users, "fred", true).unwrap();
    let end = &issuer.logins(&server, &[case])[0];
    assert!(end.contains("[AUTHENTICATIONFAILED]"), "{end}");
    assert!(
        end.contains(r#"{"status":"401","schemes":"bearer","scope":"mail"}"#),
        "{end}"
    );
}

#[test]
fn keys_are_changed_by_refresh_and_broken_ones_are_not_taken() {
    let issuer = Issuer::new();
    let server = issuer.site.start();
    let mut idle = server.idle("fred");
    let case = |key: &str| {
        format!(
            r#"{{"mechanism": "OAUTHBEARER", "user": "{key}", "claims": {{"sub": "fred"}},
                "key": "{key}", "header": {{"alg": "EdDSA"}}}}"#
        )
        .replace('\n', " ")
        .replace(&format!(r#""user": "{key}""#), r#""user": """#)
    };
    let (old, new) = (case("ed"), case("ed2"));
    let is_in = |case: &str| issuer.logins(&server, &[case])[0].starts_with("OK");
    assert!(is_in(&old) && !is_in(&new));
    issuer.publish(&["ed", "ed2"]);
    issuer
        .site
        .refresh(&server, "the 2 keys of tokens were read again");
    assert!(is_in(&old) && is_in(&new));
    issuer.publish(&["ed2"]);
    issuer
        .site
        .refresh(&server, "the 1 keys of tokens were read again");
    assert!(!is_in(&old) && is_in(&new));
    let keys = issuer.folder().join("config/keys");
    fs::write(
        &keys,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    )
    .unwrap();
    issuer.site.refresh(&server, "those known before are kept");
    assert!(is_in(&new));
    idle.say("DONE\r\n");
    assert!(idle.line().starts_with("i OK"), "sessions stay");
    drop(server);
    let refused = issuer.site.try_start(":").err().unwrap();
    assert!(
        refused.contains("config/keys: key 1 can't be used"),
        "{refused}"
    );
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_imapd"))
            .args(["--check", "--base"])
            .arg(issuer.folder())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        check().contains("config/keys: key 1 can't be used"),
        "{}",
        check()
    );
    issuer.publish(&["ed2"]);
    assert!(check().contains("config/keys: 1 keys: good"), "{}", check());
}

/// A secret is one only if the file says so: in a JWKS, by its own id.
#[test]
fn a_set_of_keys_has_ids_and_may_have_a_secret() {
    let issuer = Issuer::new();
    let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let part = |command: &str| {
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", command]).current_dir(issuer.folder());
        URL_SAFE_NO_PAD.encode(output.output().unwrap().stdout)
    };
    let n = part("openssl rsa -pubin -in rsa.pub -modulus -noout | cut -d= -f2 | xxd -r -p");
    let point = part("openssl pkey -pubin -in ed.pub -outform DER | tail -c 32");
    let set = format!(
        r#"{{"keys": [
            {{"kty": "oct", "k": "{secret}", "kid": "one"}},
            {{"kty": "RSA", "n": "{n}", "e": "AQAB", "kid": "rsa", "use": "sig", "alg": "RS256"}},
            {{"kty": "OKP", "crv": "Ed25519", "x": "{point}", "kid": "ed", "use": "sig"}}
        ]}}"#
    );
    fs::write(issuer.folder().join("config/keys"), set).unwrap();
    let server = issuer.site.start();
    let case = |kid: &str| {
        format!(
            r#"{{"mechanism": "OAUTHBEARER", "key": "secret",
                "header": {{"alg": "HS256", "kid": "{kid}"}}}}"#
        )
        .replace('\n', " ")
    };
    assert!(issuer.logins(&server, &[&case("one")])[0].starts_with("OK"));
    for (key, alg, ok) in [
        ("rsa", "RS256", true),
        ("rsa", "PS256", false),
        ("ed", "EdDSA", true),
    ] {
        let case = format!(
            r#"{{"mechanism": "OAUTHBEARER", "key": "{key}",
                "header": {{"alg": "{alg}", "kid": "{key}"}}}}"#
        );
        let end = &issuer.logins(&server, &[&case.replace('\n', " ")])[0];
        assert_eq!(end.starts_with("OK"), ok, "{key} {alg}: {end}");
    }
    assert!(issuer.logins(&server, &[&case("two")])[0].contains("AUTHENTICATIONFAILED"));
    let log = issuer.site.log();
    assert!(
        log.contains(r#"why="oauth.keys has no key \"two\" of its token""#),
        "{log}"
    );
}

#[test]
fn without_keys_there_is_no_such_thing() {
    let site = Site::new("");
    let server = site.start();
    assert!(!server.greeting().contains("OAUTH"));
    let mut talk = Talk::to(server.imap);
    talk.line();
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        talk.say(&format!("a AUTHENTICATE {mechanism} dXNlcj14AQ==\r\n"));
        assert!(talk.line().starts_with("a NO [CANNOT]"));
    }
}
