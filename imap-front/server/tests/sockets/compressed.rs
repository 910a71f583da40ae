//! COMPRESS (RFC 4978): conversations that are compressed are those that are not, whoever the
//! client is, wherever it rests, and whatever it sends.

use std::io::{self, Read, Write};
use std::process::Command;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::handover::{Client, Secure, Stream};
use crate::site::{Server, Site, Talk};

/// A client's side of a compressed connection.
struct Deflated {
    stream: Box<dyn Stream>,
    compress: Compress,
    decompress: Decompress,
    /// How what it says is flushed, and cut into pieces of at most so many bytes.
    flush: FlushCompress,
    cut: usize,
    input: Vec<u8>,
}

impl Deflated {
    fn over(stream: Box<dyn Stream>, flush: FlushCompress, cut: usize) -> Self {
        Self {
            stream,
            compress: Compress::new(Compression::default(), false),
            decompress: Decompress::new(false),
            flush,
            cut,
            input: vec![],
        }
    }
}

impl Write for Deflated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = Vec::with_capacity(bytes.len() + 1024);
        let outcome = self.compress.compress_vec(bytes, &mut output, self.flush);
        outcome.map_err(io::Error::other)?;
        for piece in output.chunks(self.cut) {
            self.stream.write_all(piece)?;
            self.stream.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Deflated {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = (self.decompress.total_in(), self.decompress.total_out());
            let flush = FlushDecompress::Sync;
            let outcome = self.decompress.decompress(&self.input, output, flush);
            outcome.map_err(io::Error::other)?;
            self.input
                .drain(..(self.decompress.total_in() - before.0) as usize);
            let out = (self.decompress.total_out() - before.1) as usize;
            if out > 0 {
                return Ok(out);
            }
            let mut piece = [0; 4096];
            let length = self.stream.read(&mut piece)?;
            if length == 0 {
                return Ok(0);
            }
            self.input.extend_from_slice(&piece[..length]);
        }
    }
}

/// Has a client that has logged in ask for compression.
fn compressed(mut client: Client, flush: FlushCompress, cut: usize) -> Client {
    client.say("z COMPRESS DEFLATE\r\n");
    assert_eq!(client.line(), "z OK DEFLATE active");
    assert!(client.stream.buffer().is_empty());
    let stream = client.stream.into_inner();
    let stream: Box<dyn Stream> = Box::new(Deflated::over(stream, flush, cut));
    Client {
        stream: io::BufReader::new(stream),
        exists: client.exists,
    }
}

fn compressed_plainly(client: Client) -> Client {
    compressed(client, FlushCompress::Sync, 4096)
}

/// All lines up to the end of a command, but for what differs in time.
fn heard(client: &mut Client, command: &str) -> Vec<String> {
    client.say(command);
    let tag = format!("{} ", command.split(' ').next().unwrap());
    let mut lines = vec![];
    loop {
        lines.push(client.line());
        if lines.last().unwrap().starts_with(&tag) {
            return lines;
        }
    }
}

/// Commands at random, with literals; they change nothing.
fn conversation(chance: &mut fastrand::Rng) -> String {
    let (from, to) = (chance.u32(1..60), chance.u32(1..60));
    let text = |chance: &mut fastrand::Rng| "x".repeat(chance.usize(..60));
    match chance.u32(..9) {
        0 => format!("t FETCH {from}:{to} (FLAGS UID RFC822.SIZE ENVELOPE)\r\n"),
        1 => format!("t UID FETCH {from}:{to} (BODY.PEEK[] BODYSTRUCTURE)\r\n"),
        2 => format!("t FETCH {from} BODY.PEEK[TEXT]<{to}.200000>\r\n"),
        3 => format!("t SEARCH SUBJECT {{7+}}\r\nnumber {from}\r\n"),
        4 => "t CAPABILITY\r\n".into(),
        5 => format!("t LIST \"\" \"{}*\"\r\n", text(chance)),
        6 => format!("t NOSUCH {}\r\n", text(chance)),
        7 => "t STATUS INBOX (MESSAGES UIDNEXT)\r\n".into(),
        _ => "t NOOP\r\n".into(),
    }
}

fn filled(server: &Server) {
    for number in 0..40 {
        let body = format!("line {number}\r\n").repeat(if number % 7 == 0 { 20_000 } else { 30 });
        let text = format!("Subject: number {number}\r\nFrom: a@example.org\r\n\r\n{body}");
        assert!(server.deliver(&["fred"], &text)[0].starts_with("250"));
    }
}

#[test]
fn conversations_that_are_compressed_are_as_others() {
    let secure = Secure::new();
    let server = secure.site.start();
    filled(&server);
    // From now on no message is recent.
    drop(Client::plain(server.imap).selecting("fred"));
    let mut chance = fastrand::Rng::with_seed(7);
    let flushes = [
        FlushCompress::Sync,
        FlushCompress::Partial,
        FlushCompress::Full,
    ];
    for round in 0..6 {
        let new = |tls: bool| match tls {
            true => secure.client().selecting("fred"),
            false => Client::plain(server.imap).selecting("fred"),
        };
        let mut plain = new(false);
        let (flush, cut) = (flushes[round % 3], [1, 7, 4096][round % 3]);
        let mut other = compressed(new(round % 2 == 1), flush, cut);
        for _ in 0..60 {
            let command = conversation(&mut chance);
            let (mut one, mut two) = (heard(&mut plain, &command), heard(&mut other, &command));
            for lines in [&mut one, &mut two] {
                let capabilities = lines.iter_mut().filter(|line| line.contains("CAPABILITY"));
                capabilities.for_each(|line| *line = line.replace(" COMPRESS=DEFLATE", ""));
            }
            assert_eq!(one, two, "{command}");
        }
        let answer = heard(&mut other, "t COMPRESS DEFLATE\r\n");
        assert!(
            answer[0].starts_with("t NO [COMPRESSIONACTIVE] "),
            "{answer:?}"
        );
        assert!(!heard(&mut other, "t CAPABILITY\r\n")[0].contains("COMPRESS"));
        assert!(heard(&mut plain, "t CAPABILITY\r\n")[0].contains(" COMPRESS=DEFLATE"));
        assert!(heard(&mut other, "t STARTTLS\r\n")[0].starts_with("t BAD"));
    }
    assert!(
        !secure.site.log().contains("panicked"),
        "{}",
        secure.site.log()
    );
}

#[test]
fn sessions_that_rest_compressed_are_told_and_go_on_in_another_process() {
    let secure = Secure::new();
    let mut server = secure.site.start();
    let mut clients: Vec<Client> = vec![];
    for number in 0..24 {
        let (user, client) = match number % 2 {
            0 => ("fred", Client::plain(server.imap)),
            _ => ("mary", secure.client()),
        };
        let flush = match number % 3 {
            0 => FlushCompress::Partial,
            _ => FlushCompress::Sync,
        };
        let client = compressed(client.selecting(user), flush, 4096);
        clients.push(match number % 4 {
            0 | 1 => client.idling(),
            _ => client,
        });
    }
    let mut count = 0;
    let deliver = |server: &Server, count: &mut u32| {
        *count += 1;
        let answers = server.deliver(&["fred", "mary"], "Subject: x\r\n\r\ny");
        assert!(answers.iter().all(|answer| answer.starts_with("250")));
    };
    for _ in 0..3 {
        deliver(&server, &mut count);
        for client in clients.chunks_mut(4).flat_map(|four| &mut four[..2]) {
            client.hear(count);
        }
        secure.site.upgrade(&mut server);
        deliver(&server, &mut count);
        for (place, client) in clients.iter_mut().enumerate() {
            match place % 4 {
                0 | 1 => {
                    client.hear(count);
                    client.say("DONE\r\n");
                    client.until("i");
                    client.ask("n FETCH 1:* (UID FLAGS)");
                    client.say("i IDLE\r\n");
                    assert_eq!(client.line(), "+ idling");
                }
                _ => {
                    client.ask("n NOOP");
                    assert_eq!(client.exists, count);
                    client.ask("f FETCH 1:* (UID FLAGS)");
                }
            }
        }
    }
    let log = secure.site.log();
    assert_eq!(log.matches("this process has taken over").count(), 3);
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_session_that_rests_compressed_costs_its_window() {
    let site = Site::new("");
    let server = site.start();
    let mut clients: Vec<Client> = (0..40)
        .map(|_| compressed_plainly(Client::plain(server.imap).selecting("fred")).idling())
        .collect();
    let statistics = server.statistics(&site);
    assert_eq!(statistics["Compressed"], 40, "{statistics:?}");
    let each = statistics["Windows"] / 40;
    assert!(
        (32..64).contains(&each),
        "{each} bytes for who has said IDLE"
    );
    for client in &mut clients {
        client.say("DONE\r\n");
        client.until("i");
        for _ in 0..40 {
            client.ask("f UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE)])");
        }
        client.say("i IDLE\r\n");
        assert_eq!(client.line(), "+ idling");
    }
    let each = server.statistics(&site)["Windows"] / 40;
    assert!(each < 4096, "{each} bytes for who has said 40 commands");
    drop(clients);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.statistics(&site)["Windows"], 0);
}

/// A client that stops compressing, and hears who does.
struct Leaving {
    stream: Box<dyn Stream>,
    decompress: Option<Decompress>,
}

impl Leaving {
    /// The lines that come, up to one that begins so.
    fn until(&mut self, end: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            match &mut self.decompress {
                Some(decompress) => {
                    heard.reserve(4096);
                    let flush = FlushDecompress::Sync;
                    let outcome = decompress.decompress_vec(&byte, &mut heard, flush);
                    outcome.unwrap();
                }
                // The end of the last flush.
                None if heard.is_empty() && matches!(byte[0], 0..=3 | 0xff) => {}
                None => heard.extend(byte),
            }
            if heard.ends_with(b"\r\n") {
                let text = String::from_utf8(heard.clone()).unwrap();
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                if lines.last().unwrap().starts_with(end) {
                    return lines;
                }
            }
        }
    }

    fn say(&mut self, bytes: &[u8], cut: usize) {
        for piece in bytes.chunks(cut) {
            self.stream.write_all(piece).unwrap();
            self.stream.flush().unwrap();
        }
    }
}

fn deflated(text: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut output = Vec::with_capacity(4096);
    let mut compress = Compress::new(Compression::default(), false);
    compress.compress_vec(text, &mut output, flush).unwrap();
    output
}

/// RFC 8437 §4.1: what is said behind UNAUTHENTICATE and its answer is not compressed, and may come
/// in the same packet.
#[test]
fn compression_ends_with_the_login() {
    let secure = Secure::new();
    let server = secure.site.start();
    let flushes = [
        FlushCompress::Sync,
        FlushCompress::Partial,
        FlushCompress::Full,
        FlushCompress::Finish,
    ];
    let commands = [
        "u UNAUTHENTICATE\r\n",
        "s FETCH 1:* (UID FLAGS)\r\nu x-unauthenticate\r\n",
        "s STATUS INBOX (MESSAGES UIDNEXT UNSEEN)\r\nu UNAUTHENTICATE\r\n",
    ];
    for (round, flush) in flushes.into_iter().cycle().take(24).enumerate() {
        let (cut, waits) = ([1, 5, 4096][round % 3], round % 2 == 0);
        eprintln!("round {round}: {flush:?}, {cut} bytes at a time, waits: {waits}");
        let mut client = match round % 8 < 4 {
            true => Client::plain(server.imap).selecting("fred"),
            false => secure.client().selecting("fred"),
        };
        client.say("z COMPRESS DEFLATE\r\n");
        assert_eq!(client.line(), "z OK DEFLATE active");
        let mut client = Leaving {
            stream: client.stream.into_inner(),
            decompress: None,
        };
        for user in ["mary", "fred"] {
            client.decompress = Some(Decompress::new(false));
            let said = deflated(commands[round / 4 % 3].as_bytes(), flush);
            let login = format!("l LOGIN {user} {user}\r\n");
            match waits {
                true => client.say(&said, cut),
                false => client.say(&[&said, login.as_bytes()].concat(), cut),
            }
            let heard = client.until("u ");
            assert_eq!(heard.last().unwrap(), "u OK UNAUTHENTICATE completed");
            client.decompress = None;
            if waits {
                client.say(login.as_bytes(), cut);
            }
            let heard = client.until("l ");
            assert!(heard[0].starts_with("l OK [CAPABILITY "), "{heard:?}");
            assert!(heard[0].contains(" COMPRESS=DEFLATE "), "{heard:?}");
            client.say(b"t SELECT INBOX\r\nz COMPRESS DEFLATE\r\n", cut);
            let heard = client.until("z ");
            assert_eq!(heard.last().unwrap(), "z OK DEFLATE active");
        }
    }
    let log = secure.site.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(server.statistics(&secure.site)["DeflateFault"], 0);
}

#[test]
fn a_stream_goes_on_behind_words_that_do_not_end_it() {
    let site = Site::new("service.imap.unauthenticate = no\n");
    let server = site.start();
    let mut client = compressed_plainly(Client::plain(server.imap).selecting("fred"));
    let said = "u UNAUTHENTICATE\r\n";
    let refused = "u BAD UNAUTHENTICATE is not offered";
    assert_eq!(heard(&mut client, said), [refused]);
    assert!(!heard(&mut client, "c CAPABILITY\r\n")[0].contains("UNAUTHENTICATE"));
    let found = heard(&mut client, "s SEARCH TEXT {16+}\r\nUNAUTHENTICATE\r\n\r\n");
    assert_eq!(found, ["* SEARCH", "s OK SEARCH completed"]);
    client.ask("n NOOP");
}

/// RFC 9586, in rows, with compression and through an upgrade.
#[test]
fn who_goes_by_uids_alone_hears_no_number_in_idle() {
    let site = Site::new("");
    let mut server = site.start();
    for number in 0..3 {
        server.deliver(&["fred"], &format!("Subject: {number}\r\n\r\nHello"));
    }
    let mut clients = [(); 2].map(|()| Client::plain(server.imap).selecting("fred"));
    clients[0].ask("u ENABLE UIDONLY");
    let [first, mut other] = clients;
    let mut idle = compressed_plainly(first).idling();
    site.upgrade(&mut server);
    other.ask("a STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(idle.line(), "* 1 UIDFETCH (FLAGS (\\Deleted \\Recent))");
    other.ask("b EXPUNGE");
    assert_eq!(idle.line(), "* VANISHED 1");
    other.ask("c STORE 1:2 +FLAGS.SILENT (\\Seen)");
    assert_eq!(idle.line(), "* 2 UIDFETCH (FLAGS (\\Seen \\Recent))");
    assert_eq!(idle.line(), "* 3 UIDFETCH (FLAGS (\\Seen \\Recent))");
    idle.say("DONE\r\n");
    idle.until("i");
    let refused = heard(&mut idle, "f FETCH 1 (FLAGS)\r\n");
    assert!(
        refused[0].starts_with("f BAD [UIDREQUIRED] "),
        "{refused:?}"
    );
    let fetched = heard(&mut idle, "g UID FETCH 3 (FLAGS)\r\n");
    assert_eq!(fetched[0], "* 3 UIDFETCH (FLAGS (\\Seen \\Recent))");
}

#[test]
fn a_bomb_is_worked_on_in_pieces_and_holds_up_nobody() {
    let site = Site::new("service.imap.shards = 1\n");
    let server = site.start();
    let mut bomb = Vec::with_capacity(1 << 20);
    let mut text = vec![b'x'; 100 << 20];
    text.extend(b"\r\n");
    Compress::new(Compression::best(), false)
        .compress_vec(&text, &mut bomb, FlushCompress::Sync)
        .unwrap();
    assert!(bomb.len() < 200_000);
    drop(text);
    let before = server.resident_bytes();
    let mut other = Client::plain(server.imap).selecting("mary");
    let mut talk = Talk::to(server.imap);
    talk.line();
    talk.ask("a LOGIN fred fred");
    talk.say("b COMPRESS DEFLATE\r\n");
    assert!(talk.line().starts_with("b OK"));
    let mut stream = talk.into_stream();
    let throwing = stream.try_clone().unwrap();
    let thrower = std::thread::spawn(move || {
        let mut throwing = throwing;
        let _ = throwing.write_all(&bomb);
    });
    for _ in 0..50 {
        let begun = std::time::Instant::now();
        other.ask("n NOOP");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    let more = server.resident_bytes().saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes more");
    thrower.join().unwrap();
    // It was dropped as it came, up to the line's end.
    let mut rest = [0; 1024];
    assert!(stream.read(&mut rest).unwrap() > 0);
    other.ask("n NOOP");
}

#[test]
fn what_is_no_stream_ends_its_connection_and_no_other() {
    let site = Site::new("");
    let server = site.start();
    let mut other = compressed_plainly(Client::plain(server.imap).selecting("fred"));
    for junk in [&b"\x07junk"[..], b"\x03\x00x NOOP\r\n"] {
        let mut talk = Talk::to(server.imap);
        talk.line();
        talk.ask("a LOGIN fred fred");
        talk.say("b COMPRESS DEFLATE\r\n");
        assert!(talk.line().starts_with("b OK"));
        let mut stream = talk.into_stream();
        stream.write_all(junk).unwrap();
        let mut rest = vec![];
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    other.ask("n NOOP");
    assert_eq!(server.statistics(&site)["DeflateFault"], 2);
}

#[test]
fn without_memory_for_it_compression_is_refused_and_sessions_go_on() {
    let site = Site::new("service.imap.maxcompressed = 4K\nservice.imap.shards = 1\n");
    let server = site.start();
    let mut one = compressed_plainly(Client::plain(server.imap).selecting("fred"));
    for _ in 0..45 {
        one.ask("f UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE TO)])");
    }
    let mut two = Client::plain(server.imap).selecting("mary");
    let answer = heard(&mut two, "z COMPRESS DEFLATE\r\n");
    assert!(answer[0].starts_with("z NO [LIMIT] "), "{answer:?}");
    two.ask("n NOOP");
    let site = Site::new("service.imap.maxcompressed = 0\n");
    let server = site.start();
    let mut none = Client::plain(server.imap).selecting("fred");
    assert!(!heard(&mut none, "c CAPABILITY\r\n")[0].contains("COMPRESS"));
    assert!(heard(&mut none, "z COMPRESS DEFLATE\r\n")[0].starts_with("z BAD"));
}

/// Python's own client, with its zlib below.
const CLIENT: &str = r#"
import imaplib, smtplib, socket, sys, zlib
imap, lmtp, wbits, flush = int(sys.argv[1]), int(sys.argv[2]), -15, int(sys.argv[3])
class Compressed:
    def __init__(self, sock):
        self.sock, self.out = sock, zlib.compressobj(9, zlib.DEFLATED, wbits)
        self.back, self.have = zlib.decompressobj(wbits), b''
    def sendall(self, data):
        self.sock.sendall(self.out.compress(data) + self.out.flush(flush))
    def recv(self, count):
        while not self.have:
            data = self.sock.recv(65536)
            if not data:
                return b''
            self.have = self.back.decompress(data)
        data, self.have = self.have[:count], self.have[count:]
        return data
    def __getattr__(self, name):
        return getattr(self.sock, name)
class Reader:
    def __init__(self, sock):
        self.sock, self.have = sock, b''
    def readline(self, limit=-1):
        while b'\n' not in self.have:
            data = self.sock.recv(65536)
            if not data:
                break
            self.have += data
        line, end, self.have = self.have.partition(b'\n')
        return line + end
    def read(self, count):
        while len(self.have) < count:
            self.have += self.sock.recv(65536)
        data, self.have = self.have[:count], self.have[count:]
        return data
    def close(self):
        pass
client = imaplib.IMAP4('127.0.0.1', imap)
client.login('fred', 'fred')
imaplib.Commands['COMPRESS'] = ('AUTH', 'SELECTED')
status, said = client._simple_command('COMPRESS', 'DEFLATE')
assert status == 'OK', said
client.sock = Compressed(client.sock)
client.file = client._file = Reader(client.sock)
client.select('INBOX')
assert client._simple_command('COMPRESS', 'DEFLATE')[0] == 'NO'
for _ in range(3):
    client.send(b'i IDLE\r\n')
    assert client.readline() == b'+ idling\r\n'
    deliverer = smtplib.LMTP('127.0.0.1', lmtp)
    deliverer.sendmail('a@example.org', ['fred'], 'Subject: one\r\n\r\n' + 'text ' * 20000)
    while b'EXISTS' not in client.readline():
        pass
    client.send(b'DONE\r\n')
    while not client.readline().startswith(b'i OK'):
        pass
    before = client.sock.back
    _, data = client.fetch('*', '(BODY[TEXT])')
    assert len(data[0][1]) >= 100000, len(data[0][1])
client.append('INBOX', None, None, b'Subject: two\r\n\r\n' + b'more ' * 50000)
client.logout()
print('told')
"#;

#[test]
fn a_client_in_python_with_zlib_is_told() {
    let site = Site::new("");
    let server = site.start();
    let ports = [server.imap.port(), server.lmtp.port()].map(|port| port.to_string());
    // Z_PARTIAL_FLUSH, Z_SYNC_FLUSH and Z_FULL_FLUSH.
    for flush in ["1", "2", "3"] {
        let arguments = ["-c", CLIENT, &ports[0], &ports[1], flush];
        let output = Command::new("python3").args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.starts_with(b"told"), "{flush}: {error}");
    }
}
