//! Commands drawn from the grammar of RFC 3501 §9 and of the extensions that are offered.

use super::mutate::Rng;

/// Draws commands; the same seed draws the same ones.
pub struct Grammar {
    rng: Rng,
    text: Vec<u8>,
    /// Something was drawn that imap-codec doesn't know.
    pub foreign: bool,
}

impl Grammar {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            text: Vec::new(),
            foreign: false,
        }
    }

    /// A command without its final line end.
    pub fn command(mut self) -> (Vec<u8>, bool) {
        self.word(&["a", "A001", "x.y-z", "9", "]]", "!$,:;"]);
        self.put(" ");
        match self.rng.below(5) {
            0 => self.session(),
            1 => self.mailboxes(),
            2 => self.fetch(),
            3 => self.store_or_copy(),
            _ => self.search(),
        }
        (self.text, self.foreign)
    }

    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self) -> bool {
        self.rng.below(3) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.below(choices.len())]
    }

    /// A keyword in capitals or not.
    fn word(&mut self, choices: &[&str]) {
        let word = self.one_of(choices);
        match self.rng.below(4) {
            0 => self.put(&word.to_ascii_lowercase()),
            _ => self.put(word),
        }
    }

    fn list(&mut self, count_min: usize, mut item: impl FnMut(&mut Self)) {
        self.put("(");
        for number in 0..count_min + self.rng.below(4) {
            if number > 0 {
                self.put(" ");
            }
            item(self);
        }
        self.put(")");
    }

    fn string(&mut self) {
        let value = self.one_of(&["", "x", "a b", "q\"\\", "NIL", "(x)", "{3}", "%*", "l\r\nm"]);
        let quotable = !value.contains('\r');
        match self.rng.below(3) {
            0 => self.put(&format!("{{{}}}\r\n{value}", value.len())),
            1 => self.put(&format!("{{{}+}}\r\n{value}", value.len())),
            _ if quotable => {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                self.put(&format!("\"{escaped}\""));
            }
            _ => self.put("\"\""),
        }
    }

    fn astring(&mut self) {
        match self.rng.below(2) {
            0 => {
                let atom = self.one_of(&["x", "a]b", "fred@example.org", "nil", "a+b", "-"]);
                self.put(atom);
            }
            _ => self.string(),
        }
    }

    fn mailbox(&mut self) {
        let names = [
            "INBOX",
            "inBox/x",
            "a/b",
            "&ZeVnLIqe-",
            "R&AOk-sum&AOk-",
            "a&-b",
            "a b",
            "#x",
        ];
        let name = self.one_of(&names);
        match self.rng.below(4) {
            0 if !name.contains(' ') => self.put(name),
            1 => self.put(&format!("{{{}}}\r\n{name}", name.len())),
            _ => self.put(&format!("\"{name}\"")),
        }
    }

    fn pattern(&mut self) {
        let pattern = self.one_of(&["*", "%", "INBOX", "a/%", "a.*b]", "&ZeVnLIqe-*"]);
        match self.maybe() {
            true => self.put(&format!("\"{pattern}\"")),
            false => self.put(pattern),
        }
    }

    fn number(&mut self) -> u32 {
        self.one_of(&[1, 2, 9, 77, 65_536, u32::MAX - 1, u32::MAX])
    }

    fn set(&mut self) {
        for part in 0..=self.rng.below(3) {
            let (low, high) = (self.number(), self.number());
            let text = match self.rng.below(4) {
                0 => format!("{low}:{high}"),
                1 => format!("{low}:*"),
                2 => "*".to_owned(),
                _ => low.to_string(),
            };
            self.put(if part > 0 { "," } else { "" });
            self.put(&text);
        }
    }

    fn flag(&mut self) {
        let flags = [
            "\\Answered",
            "\\seen",
            "\\DELETED",
            "\\Flagged",
            "\\Draft",
            "$Junk",
            "work",
            "a.b",
        ];
        let flag = self.one_of(&flags);
        self.put(flag);
    }

    fn session(&mut self) {
        match self.rng.below(9) {
            0 => self.word(&[
                "CAPABILITY",
                "NOOP",
                "LOGOUT",
                "STARTTLS",
                "UNSELECT",
                "CLOSE",
                "IDLE",
                "CHECK",
                "EXPUNGE",
                "NAMESPACE",
            ]),
            1 => {
                self.word(&["LOGIN "]);
                self.astring();
                self.put(" ");
                self.astring();
            }
            2 => {
                self.word(&["AUTHENTICATE "]);
                self.word(&["PLAIN", "SCRAM-SHA-256", "X_Y"]);
                let initial = self.one_of(&["", " =", " AGZyZWQAc2VjcmV0", " YQ=="]);
                self.put(initial);
            }
            3 => {
                self.word(&["ENABLE "]);
                self.word(&["CONDSTORE", "UTF8=ACCEPT", "IMAP4rev2", "X-Y"]);
                if self.maybe() {
                    self.put(" IMAP4rev2");
                }
            }
            4 => {
                self.word(&["ID "]);
                if self.maybe() {
                    return self.word(&["NIL"]);
                }
                self.list(1, |g| {
                    g.string();
                    match g.maybe() {
                        true => g.put(" NIL"),
                        false => {
                            g.put(" ");
                            g.string();
                        }
                    }
                });
            }
            5 => {
                self.word(&["UID EXPUNGE "]);
                self.set();
            }
            6 if self.maybe() => self.signed_urls(),
            6 => self.access_control(),
            _ => self.append(),
        }
    }

    fn signed_urls(&mut self) {
        self.foreign = true;
        const URLS: [&str; 3] = [
            "\"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred\"",
            "imap://joe@example.com/INBOX/;UID=1;URLAUTH=authuser:internal:00",
            "{1}\r\nx",
        ];
        match self.rng.below(3) {
            0 => {
                self.word(&["GENURLAUTH"]);
                for _ in 0..=self.rng.below(3) {
                    let url = self.one_of(&URLS);
                    self.put(&format!(" {url} "));
                    self.word(&["INTERNAL", "X-1.2"]);
                }
            }
            1 => {
                self.word(&["URLFETCH"]);
                for _ in 0..=self.rng.below(3) {
                    let url = self.one_of(&URLS);
                    self.put(&format!(" {url}"));
                }
            }
            _ => {
                self.word(&["RESETKEY"]);
                if self.maybe() {
                    self.put(" ");
                    self.mailbox();
                    let rest = self.one_of(&["", " INTERNAL", " INTERNAL X"]);
                    self.put(rest);
                }
            }
        }
    }

    fn access_control(&mut self) {
        self.foreign = true;
        let word = self.one_of(&[
            "SETACL ",
            "DELETEACL ",
            "GETACL ",
            "LISTRIGHTS ",
            "MYRIGHTS ",
        ]);
        self.word(&[word]);
        self.mailbox();
        if word.starts_with("GET") || word.starts_with("MY") {
            return;
        }
        self.put(" ");
        let who = self.one_of(&[
            "mary",
            "-mary",
            "anyone",
            "\"a b\"",
            "{4}\r\nmary",
            "{4+}\r\nmary",
        ]);
        self.put(who);
        if word == "SETACL " {
            let rights = self.one_of(&[" lrs", " +cd", " -x", " \"\"", " +", " {2+}\r\nla"]);
            self.put(rights);
        }
    }

    fn append(&mut self) {
        self.word(&["APPEND "]);
        self.mailbox();
        self.put(" ");
        if self.maybe() {
            self.list(0, Self::flag);
            self.put(" ");
        }
        if self.maybe() {
            let day = self.one_of(&["01", " 1", "28", "31"]);
            let zone = self.one_of(&["+0000", "-0800", "+0530", "-0000"]);
            self.put(&format!("\"{day}-Jan-1996 02:44:25 {zone}\" "));
        }
        let literal = match self.rng.below(16) {
            0 => "UTF8 (~{7}",
            1 => "CATENATE (URL \"/a;UIDVALIDITY=5/;UID=20/;section=1.MIME\" TEXT {42}",
            2 => "CATENATE (URL /a/;UID=2 URL ;UID=7/;PARTIAL=1.5) (\\Seen) CATENATE (URL {9}",
            _ => self.one_of(&["{1}", "{310}", "{7+}"]),
        };
        self.foreign |= literal.contains('(');
        self.put(literal);
    }

    fn mailboxes(&mut self) {
        match self.rng.below(7) {
            0 => {
                self.word(&["SELECT ", "EXAMINE "]);
                self.mailbox();
                if self.maybe() {
                    self.word(&[" (CONDSTORE)"]);
                }
            }
            1 => {
                self.word(&["CREATE "]);
                self.mailbox();
                if self.maybe() {
                    self.foreign = true;
                    self.put(" (USE ");
                    self.list(0, |g| g.word(&["\\Sent", "\\Trash", "\\All"]));
                    self.put(")");
                }
            }
            2 => {
                self.word(&["DELETE ", "SUBSCRIBE ", "UNSUBSCRIBE "]);
                self.mailbox();
            }
            3 => {
                self.word(&["RENAME "]);
                self.mailbox();
                self.put(" ");
                self.mailbox();
            }
            4 => {
                self.word(&["LSUB "]);
                self.mailbox();
                self.put(" ");
                self.pattern();
            }
            5 => {
                self.word(&["STATUS "]);
                self.mailbox();
                self.put(" ");
                self.status_items();
            }
            _ => self.listing(),
        }
    }

    fn status_items(&mut self) {
        let items = [
            "MESSAGES",
            "RECENT",
            "UIDNEXT",
            "UIDVALIDITY",
            "UNSEEN",
            "HIGHESTMODSEQ",
        ];
        self.list(1, |g| g.word(&items));
    }

    fn listing(&mut self) {
        self.word(&["LIST "]);
        let selects = self.maybe();
        if selects {
            self.foreign = true;
            self.list(0, |g| g.word(&["SUBSCRIBED", "REMOTE", "SPECIAL-USE"]));
            self.put(" ");
        }
        self.mailbox();
        self.put(" ");
        if self.maybe() {
            self.foreign = true;
            self.list(1, Self::pattern);
        } else {
            self.pattern();
        }
        if self.maybe() {
            self.foreign = true;
            self.word(&[" RETURN "]);
            self.list(0, |g| {
                if g.maybe() {
                    g.word(&["STATUS "]);
                    g.status_items();
                } else {
                    g.word(&["SUBSCRIBED", "CHILDREN", "SPECIAL-USE"]);
                }
            });
        }
    }

    fn fetch(&mut self) {
        self.word(&["FETCH ", "UID FETCH "]);
        self.set();
        self.put(" ");
        match self.rng.below(3) {
            0 => self.word(&["FAST", "ALL", "FULL"]),
            1 => self.fetch_item(),
            _ => self.list(1, Self::fetch_item),
        }
        if self.maybe() {
            let number = self.number();
            self.put(&format!(" (CHANGEDSINCE {number})"));
        }
    }

    fn fetch_item(&mut self) {
        if self.maybe() {
            return self.word(&[
                "BODY",
                "BODYSTRUCTURE",
                "ENVELOPE",
                "FLAGS",
                "INTERNALDATE",
                "UID",
                "MODSEQ",
                "RFC822",
                "RFC822.SIZE",
                "RFC822.HEADER",
                "RFC822.TEXT",
            ]);
        }
        self.word(&["BODY[", "BODY.PEEK["]);
        let part = self.one_of(&["", "1", "4.2", "12.1.77"]);
        self.put(part);
        if part.is_empty() || self.maybe() {
            self.put(if part.is_empty() { "" } else { "." });
            match self.rng.below(4) {
                0 => self.word(&["HEADER", "TEXT"]),
                1 if !part.is_empty() => self.word(&["MIME"]),
                1 => {}
                _ => {
                    self.word(&["HEADER.FIELDS ", "HEADER.FIELDS.NOT "]);
                    self.list(1, |g| g.word(&["Date", "\"X-Y\"", "{4}\r\nFrom", "A]"]));
                }
            }
        }
        self.put("]");
        if self.maybe() {
            let (first, count) = (self.number() - 1, self.number());
            self.put(&format!("<{first}.{count}>"));
        }
    }

    fn store_or_copy(&mut self) {
        if self.maybe() {
            self.word(&["COPY ", "MOVE ", "UID COPY ", "UID MOVE "]);
            self.set();
            self.put(" ");
            return self.mailbox();
        }
        self.word(&["STORE ", "UID STORE "]);
        self.set();
        if self.maybe() {
            let number = self.number();
            self.put(&format!(" (UNCHANGEDSINCE {number})"));
        }
        self.put(" ");
        self.word(&["FLAGS", "+FLAGS", "-FLAGS"]);
        if self.maybe() {
            self.word(&[".SILENT"]);
        }
        self.put(" ");
        match self.maybe() {
            true => self.flag(),
            false => self.list(0, Self::flag),
        }
    }

    fn search(&mut self) {
        self.word(&["SEARCH ", "UID SEARCH "]);
        if self.maybe() {
            self.foreign = true;
            self.word(&["RETURN "]);
            self.list(0, |g| g.word(&["MIN", "MAX", "ALL", "COUNT"]));
            self.put(" ");
        }
        if self.maybe() {
            self.word(&["CHARSET UTF-8 ", "CHARSET \"US-ASCII\" "]);
        }
        for key in 0..=self.rng.below(3) {
            self.put(if key > 0 { " " } else { "" });
            self.key(3);
        }
    }

    fn key(&mut self, depth: usize) {
        match self.rng.below(if depth > 0 { 9 } else { 6 }) {
            0 => self.set(),
            1 => self.word(&[
                "ALL",
                "ANSWERED",
                "DELETED",
                "DRAFT",
                "FLAGGED",
                "NEW",
                "OLD",
                "RECENT",
                "SEEN",
                "UNANSWERED",
                "UNDELETED",
                "UNDRAFT",
                "UNFLAGGED",
                "UNSEEN",
            ]),
            2 => {
                self.word(&["BCC ", "BODY ", "CC ", "FROM ", "SUBJECT ", "TEXT ", "TO "]);
                self.astring();
            }
            3 => {
                self.word(&[
                    "BEFORE ",
                    "ON ",
                    "SINCE ",
                    "SENTBEFORE ",
                    "SENTON ",
                    "SENTSINCE ",
                ]);
                self.word(&["1-Feb-1994", "\"28-Feb-2000\"", "09-dec-2026"]);
            }
            4 => {
                let number = self.number();
                let text = match self.rng.below(4) {
                    0 => format!("LARGER {number}"),
                    1 => format!("SMALLER {number}"),
                    2 => "KEYWORD $Junk".to_owned(),
                    _ => "UNKEYWORD work".to_owned(),
                };
                self.put(&text);
            }
            5 => self.rare_key(),
            6 => {
                self.word(&["NOT "]);
                self.key(depth - 1);
            }
            7 => {
                self.word(&["OR "]);
                self.key(depth - 1);
                self.put(" ");
                self.key(depth - 1);
            }
            _ => self.list(1, |g| g.key(depth - 1)),
        }
    }

    fn rare_key(&mut self) {
        match self.rng.below(3) {
            0 => {
                self.word(&["UID "]);
                self.set();
            }
            1 => {
                self.word(&["HEADER "]);
                self.astring();
                self.put(" ");
                self.astring();
            }
            _ => {
                self.foreign = true;
                self.word(&["MODSEQ 7", "MODSEQ \"/flags/\\\\draft\" all 620162338"]);
            }
        }
    }
}
