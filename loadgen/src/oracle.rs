//! What every session must have heard, and what it did hear.

/// Faults kept with their text; more are only counted.
const TEXTS_MAX: usize = 10;

/// What a session that is not there has heard.
const GONE: u32 = u32::MAX;

/// One mailbox, as the deliveries made it.
#[derive(Clone, Copy, Debug, Default)]
struct Mailbox {
    /// Somebody has told how many messages it had before this run.
    known: bool,
    /// Messages that may be there: begun.
    begun: u32,
    /// Messages that are surely there: answered with 250.
    durable: u32,
}

/// Judges sessions that only watch mailboxes grow.
#[derive(Debug, Default)]
pub struct Oracle {
    mailboxes: Vec<Mailbox>,
    /// For each session: its mailbox, and the last EXISTS it heard.
    sessions: Vec<(u32, u32)>,
    faults: Faults,
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Sessions that did not hear of a durable message.
    pub missed: u64,
    /// The same count told twice.
    pub doubled: u64,
    /// A count that went back, or of messages that nobody delivered.
    pub disordered: u64,
    /// The first few, in words.
    pub texts: Vec<String>,
}

impl Faults {
    /// How many.
    pub fn total(&self) -> u64 {
        self.missed + self.doubled + self.disordered
    }
}

impl Oracle {
    /// An oracle over empty mailboxes; session `n` watches mailbox `watched[n]`.
    pub fn new(mailboxes: usize, watched: Vec<u32>) -> Self {
        Self {
            mailboxes: vec![Mailbox::default(); mailboxes],
            sessions: watched.into_iter().map(|mailbox| (mailbox, GONE)).collect(),
            faults: Faults::default(),
        }
    }

    /// A session began to idle, and was told that many messages. The first to do so tells how many
    /// the mailbox has had before this run.
    pub fn began(&mut self, session: usize, exists: u32) {
        let (mailbox, heard) = &mut self.sessions[session];
        *heard = exists;
        let mailbox = &mut self.mailboxes[*mailbox as usize];
        if !std::mem::replace(&mut mailbox.known, true) {
            mailbox.begun += exists;
            mailbox.durable += exists;
        }
        let begun = mailbox.begun;
        if exists > begun {
            self.faults.disordered += 1;
            self.say(format!(
                "session {session} found {exists} messages of {begun}"
            ));
        }
    }

    /// Whether a session idles, as far as is known.
    pub fn is_there(&self, session: usize) -> bool {
        self.sessions[session].1 != GONE
    }

    /// A session's connection has ended: it hears nothing until it begins again.
    pub fn left(&mut self, session: usize) {
        self.sessions[session].1 = GONE;
    }

    /// A delivery's data is on its way.
    pub fn delivering(&mut self, mailbox: usize) {
        self.mailboxes[mailbox].begun += 1;
    }

    /// A delivery was answered with 250.
    pub fn delivered(&mut self, mailbox: usize) {
        self.mailboxes[mailbox].durable += 1;
    }

    /// Messages that a mailbox may have by now.
    pub fn begun(&self, mailbox: usize) -> u32 {
        self.mailboxes[mailbox].begun
    }

    /// A session heard EXISTS.
    pub fn heard(&mut self, session: usize, exists: u32) {
        let (mailbox, heard) = self.sessions[session];
        let begun = self.mailboxes[mailbox as usize].begun;
        self.sessions[session].1 = exists;
        if exists == heard {
            self.faults.doubled += 1;
            self.say(format!("session {session} heard {exists} EXISTS twice"));
        } else if exists < heard || exists > begun {
            self.faults.disordered += 1;
            self.say(format!(
                "session {session} heard {exists} EXISTS after {heard}, of {begun} messages"
            ));
        }
    }

    /// Whether a session has heard of all that is durable.
    pub fn is_current(&self, session: usize) -> bool {
        let (mailbox, heard) = self.sessions[session];
        heard >= self.mailboxes[mailbox as usize].durable
    }

    /// Sessions that have not heard of all that is durable.
    pub fn behind(&self) -> usize {
        (0..self.sessions.len())
            .filter(|&session| !self.is_current(session))
            .count()
    }

    /// The verdict, when everything should have arrived.
    pub fn verdict(mut self) -> Faults {
        for session in 0..self.sessions.len() {
            if !self.is_current(session) {
                let (mailbox, heard) = self.sessions[session];
                let durable = self.mailboxes[mailbox as usize].durable;
                self.faults.missed += 1;
                self.say(format!(
                    "session {session} heard of {heard} of {durable} messages"
                ));
            }
        }
        self.faults
    }

    fn say(&mut self, text: String) {
        if self.faults.texts.len() < TEXTS_MAX {
            self.faults.texts.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Oracle {
        let mut oracle = Oracle::new(1, vec![0]);
        oracle.began(0, 5);
        oracle.delivering(0);
        oracle.delivered(0);
        oracle
    }

    #[test]
    fn coalesced_counts_are_right() {
        let mut oracle = one();
        oracle.delivering(0);
        oracle.heard(0, 7);
        oracle.delivered(0);
        assert_eq!(oracle.verdict(), Faults::default());
    }

    #[test]
    fn who_is_gone_misses_nothing_and_may_come_back() {
        let mut oracle = one();
        oracle.left(0);
        assert_eq!(oracle.behind(), 0);
        oracle.began(0, 6);
        assert_eq!(oracle.verdict(), Faults::default());
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(one().verdict().missed, 1);
        let mut twice = one();
        twice.heard(0, 6);
        twice.heard(0, 6);
        assert_eq!(twice.verdict().doubled, 1);
        let mut phantom = one();
        phantom.heard(0, 7);
        assert_eq!(phantom.verdict().disordered, 1);
        let mut back = one();
        back.heard(0, 6);
        back.heard(0, 5);
        let faults = back.verdict();
        assert_eq!((faults.disordered, faults.missed), (1, 1));
        assert_eq!(faults.texts.len(), 2);
    }
}
