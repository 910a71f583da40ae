//! A client with a cache that comes and goes, and catches up by QRESYNC (RFC 7162): it knows what a
//! client knows that downloads everything.

#[allow(dead_code, reason = "each test uses a part")]
mod host;
#[path = "../../../tests/fuzz/mutate.rs"]
#[allow(dead_code)]
mod mutate;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use host::{Client, Kept, World};
use mutate::Rng;
use proto::imap::Session;

/// Conversations tried, and steps of each.
const CONVERSATIONS: u64 = 200;
const STEPS: usize = 60;
/// UIDs among which commands choose if the client knows none.
const UIDS: usize = 8;

/// What a client keeps of a mailbox.
#[derive(Default)]
struct Cache {
    modseq: u64,
    uid_validity: u64,
    /// Flags by UID, without `\Recent`.
    messages: BTreeMap<u32, Vec<String>>,
    /// The highest UID it has heard of.
    last: u32,
}

/// What a command has told besides.
#[derive(Default)]
struct Told {
    highest: Option<u64>,
    modseq: u64,
    exists: bool,
}

impl Cache {
    /// Takes a line from the server in.
    fn hear(&mut self, line: &str, told: &mut Told) {
        let line = line.strip_prefix("* ").unwrap_or(line);
        if let Some(uids) = line.strip_prefix("VANISHED ") {
            let uids = uids.strip_prefix("(EARLIER) ").unwrap_or(uids);
            for range in uids.split(',') {
                let (low, high) = range.split_once(':').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u32>().expect("a UID");
                let gone = number(low)..=number(high);
                self.messages.retain(|uid, _| !gone.contains(uid));
            }
        } else if line.contains(" FETCH (") {
            let uid = after(line, "UID ").expect("the UID is told") as u32;
            if let Some((_, flags)) = line.split_once("FLAGS (") {
                let (flags, _) = flags.split_once(')').expect("a list");
                self.messages.insert(uid, words(flags));
            }
            self.last = self.last.max(uid);
            told.modseq = told.modseq.max(after(line, "MODSEQ (").unwrap_or_default());
        } else if line.contains("[HIGHESTMODSEQ ") {
            told.highest = after(line, "[HIGHESTMODSEQ ");
        } else if line.contains("[UIDVALIDITY ") {
            self.uid_validity = after(line, "[UIDVALIDITY ").expect("a number");
        } else if line.ends_with(" EXISTS") {
            told.exists = true;
        }
        assert!(!line.ends_with(" EXPUNGE"), "it goes by UIDs: {line}");
    }

    /// A command is done: how far the client has come (RFC 7162 §6).
    fn commit(&mut self, told: &Told) {
        self.modseq = told.highest.unwrap_or(self.modseq.max(told.modseq));
    }
}

fn words(flags: &str) -> Vec<String> {
    let flags = flags.split_whitespace().filter(|flag| *flag != "\\Recent");
    let mut flags: Vec<String> = flags.map(str::to_owned).collect();
    flags.sort();
    flags
}

/// The number after some words.
fn after(line: &str, words: &str) -> Option<u64> {
    let (_, rest) = line.split_once(words)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

struct Play {
    world: World,
    rng: Rng,
    cache: Cache,
    connected: bool,
    story: String,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        world.other("SELECT INBOX");
        for _ in 0..8 {
            world.other("APPEND INBOX <<Subject: x\\r\\n\\r\\nx\\r\\n");
        }
        Self {
            world,
            rng: Rng(seed),
            cache: Cache::default(),
            connected: false,
            story: String::new(),
        }
    }

    fn uids(&mut self) -> String {
        // Of those that the client knows, most of which are there.
        let known: Vec<u32> = self.cache.messages.keys().copied().collect();
        let low = match known.len() {
            0 => self.rng.below(UIDS) + 1,
            count => known[self.rng.below(count)] as usize,
        };
        match self.rng.below(3) {
            0 => format!("{low}:{}", low + self.rng.below(4)),
            _ => low.to_string(),
        }
    }

    /// Another client changes something.
    fn other(&mut self) {
        let uids = self.uids();
        let command = match self.rng.below(12) {
            0 => "APPEND INBOX (\\Seen) <<Subject: x\\r\\n\\r\\nx\\r\\n".to_owned(),
            1 => format!("UID COPY {uids},* INBOX"),
            2 => format!("UID COPY {uids} INBOX"),
            3 => format!("UID MOVE {uids} INBOX"),
            4 | 5 => format!("UID STORE {uids} +FLAGS (\\Flagged $Work)"),
            6 | 7 => format!("UID STORE {uids} -FLAGS (\\Flagged \\Seen)"),
            8 | 9 => format!("UID STORE {uids} +FLAGS (\\Deleted)"),
            _ => "EXPUNGE".to_owned(),
        };
        let _ = writeln!(self.story, "O: {command}");
        self.world.other(&command);
    }

    /// Gives a command. If the connection is to be lost in its answer, that ends anywhere.
    fn command(&mut self, text: &str, is_cut: bool) {
        self.input(format!("c {text}\r\n").as_bytes());
        self.heard(is_cut);
    }

    fn input(&mut self, bytes: &[u8]) {
        let _ = writeln!(self.story, "C: {}", bytes.escape_ascii());
        self.world.input(false, bytes);
    }

    fn heard(&mut self, is_cut: bool) {
        let said = String::from_utf8(self.world.said()).expect("text");
        let mut lines: Vec<&str> = said.split_terminator("\r\n").collect();
        if is_cut {
            lines.truncate(self.rng.below(lines.len() + 1));
        }
        let mut told = Told::default();
        for line in lines {
            let _ = writeln!(self.story, "S: {line}");
            assert!(
                !line.starts_with("c NO") && !line.starts_with("c BAD"),
                "{}",
                self.story
            );
            self.cache.hear(line, &mut told);
        }
        if is_cut {
            return self.leave();
        }
        if told.exists {
            let news = format!("UID FETCH {}:* (FLAGS)", self.cache.last + 1);
            self.input(format!("c {news}\r\n").as_bytes());
            let said = String::from_utf8(self.world.said()).expect("text");
            for line in said.split_terminator("\r\n") {
                let _ = writeln!(self.story, "S: {line}");
                self.cache.hear(line, &mut told);
            }
        }
        self.cache.commit(&told);
    }

    fn leave(&mut self) {
        let _ = writeln!(self.story, "# gone");
        self.connected = false;
        self.world.with(false, Session::handle_closed);
        self.world.said();
    }

    fn come_back(&mut self) {
        let session = Session::new(self.world.config.clone(), true);
        self.world.client = Client {
            kept: Some(Kept::Active(session)),
            said: vec![],
            closed: false,
            compressed: false,
            further: vec![],
            spec: None,
            holds: false,
            held: None,
        };
        self.world.with(false, |_| {});
        self.input(b"a LOGIN fred secret\r\nb ENABLE QRESYNC\r\n");
        self.world.said();
        self.connected = true;
        let Cache {
            modseq,
            uid_validity,
            last,
            ..
        } = self.cache;
        let mut parameters = format!("{uid_validity} {modseq}");
        if last > 0 && self.rng.below(2) == 0 {
            let _ = write!(parameters, " 1:{last}");
        }
        let known: Vec<u32> = self.cache.messages.keys().copied().collect();
        if !known.is_empty() && self.rng.below(2) == 0 {
            let at = self.rng.below(known.len());
            let _ = match at {
                0 => write!(parameters, " (1 {})", known[0]),
                _ => write!(parameters, " (1,{} {},{})", at + 1, known[0], known[at]),
            };
        }
        match modseq {
            0 => self.command("SELECT INBOX", false),
            _ => self.command(&format!("SELECT INBOX (QRESYNC ({parameters}))"), false),
        }
    }

    /// Compares with what a client gets that downloads everything.
    fn compare(&mut self) {
        let before = self.world.other.said.len();
        self.world.other("UID FETCH 1:* (FLAGS)");
        let said = String::from_utf8(self.world.other.said[before..].to_vec()).expect("text");
        let mut all = Cache::default();
        for line in said.lines().filter(|line| line.contains(" FETCH (UID ")) {
            all.hear(line, &mut Told::default());
        }
        assert_eq!(self.cache.messages, all.messages, "{}", self.story);
    }

    fn step(&mut self) {
        let is_cut = self.rng.below(6) == 0;
        match (self.connected, self.rng.below(9)) {
            (_, 0..4) => self.other(),
            (false, _) => {
                self.come_back();
                self.compare();
            }
            (true, 4) => self.command("NOOP", is_cut),
            (true, 5) => self.command("FETCH 1:* (UID FLAGS MODSEQ)", is_cut),
            (true, 6) => {
                let uids = self.uids();
                self.command(&format!("UID STORE {uids} +FLAGS ($Mine)"), is_cut);
            }
            (true, 7) => self.command("SEARCH ALL", is_cut),
            (true, _) => {
                self.input(b"c IDLE\r\n");
                for _ in 0..self.rng.below(4) {
                    self.other();
                }
                if !is_cut {
                    self.input(b"DONE\r\n");
                }
                self.heard(is_cut);
            }
        }
        if self.connected && self.rng.below(8) == 0 {
            self.command("NOOP", false);
            self.compare();
        }
    }
}

#[test]
fn who_comes_back_knows_what_a_full_download_gives() {
    for seed in 1..=CONVERSATIONS {
        let mut play = Play::new(seed);
        for _ in 0..STEPS {
            play.step();
        }
        if !play.connected {
            play.come_back();
        }
        play.command("NOOP", false);
        play.compare();
    }
}
