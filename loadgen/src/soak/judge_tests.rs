use reactor::{Conn, Rng};

use super::*;

const BEGIN_NS: u64 = 1_000_000_000;

/// One session that idles in a mailbox with message 1 as UID 11.
struct World {
    judge: Judge,
    member: Member,
    now_ns: u64,
}

impl World {
    fn idling() -> Self {
        let mut world = Self {
            judge: Judge::new(1),
            member: Member::new(0, 0),
            now_ns: BEGIN_NS,
        };
        world.judge.adopting = false;
        world.member.conn = Some(Conn(1));
        world.add(1);
        world.hear("* OK hi\r\n");
        let login = world.member.client.login("ann", "secret");
        assert!(login.starts_with(b"t1 LOGIN"));
        let member = &mut world.member;
        world.judge.begin(member, Command::Login, world.now_ns);
        world.hear("t1 OK in\r\n");
        world.next(Command::Select);
        world.hear("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 12] x\r\nt2 OK done\r\n");
        world.next(Command::Sync { from: 1 });
        world.hear(&fetched(11, 1, true));
        world.hear("t3 OK done\r\n");
        world.next(Command::Idle);
        world.hear("+ idling\r\n");
        assert_eq!(world.judge.faults, Faults::default());
        world
    }

    /// What the session decides to do next.
    fn next(&mut self, expected: Command) {
        let mailbox = &self.judge.mailboxes[0];
        let command = self.member.next(mailbox, 99, false, &mut Rng::new(1));
        assert_eq!(command, expected);
        self.judge.begin(&mut self.member, command, self.now_ns);
        self.member.client.send(command);
    }

    fn hear(&mut self, text: &str) {
        let mut events = Vec::new();
        self.member
            .client
            .handle_input(text.as_bytes(), &mut events);
        for event in events {
            self.judge.hear(0, &mut self.member, event, self.now_ns);
        }
    }

    fn add(&mut self, id: u64) {
        let mailbox = &mut self.judge.mailboxes[0];
        mailbox.adding(id);
        mailbox.add_sent(id, self.now_ns);
        mailbox.add_ended(id, End::Done, self.now_ns);
        self.judge.changed(0, self.now_ns);
    }

    fn wait(&mut self) {
        self.now_ns += DEADLINE_NS;
        while self.judge.take_due(self.now_ns).is_some() {
            self.judge.check_idling(0, &mut self.member, self.now_ns);
        }
    }

    /// DONE, NOOP with these events, and a listing.
    fn audit(&mut self, events: &str, listing: &str) {
        self.member.client.done();
        self.member.goal = Goal::Audit;
        self.hear("t4 OK idled\r\n");
        self.member.synced = true;
        self.next(Command::Noop);
        self.hear(events);
        self.hear("t5 OK done\r\n");
        let named = !self.judge.mailboxes[0].arrivals.is_empty();
        let mailbox = &self.judge.mailboxes[0];
        let command = self.member.next(mailbox, 99, false, &mut Rng::new(1));
        assert!(matches!(command, Command::List { named: with } if with || !named));
        self.judge.begin(&mut self.member, command, self.now_ns);
        self.member.client.send(command);
        self.hear(listing);
        self.hear("t6 OK done\r\n");
        assert_eq!(self.judge.counts.audits, 1);
    }

    fn found(&self, kind: Kind) -> bool {
        self.judge.faults.count(kind) > 0
    }
}

fn fetched(uid: u32, number: u32, named: bool) -> String {
    let header = format!("Message-ID: <{number}.loadgen@localhost>\r\n\r\n");
    let name = format!(
        " BODY[HEADER.FIELDS (MESSAGE-ID)] {{{}}}\r\n{header}",
        header.len()
    );
    let name = if named { name } else { String::new() };
    format!("* {number} FETCH (UID {uid} FLAGS (){name})\r\n")
}

#[test]
fn what_is_told_in_time_is_right_and_is_measured() {
    let mut world = World::idling();
    world.now_ns += 1_000_000;
    world.add(2);
    world.now_ns += 2_000_000;
    world.hear("* 2 EXISTS\r\n* 2 RECENT\r\n");
    world.wait();
    let listing = fetched(11, 1, true) + &fetched(12, 2, true);
    world.audit("", &listing);
    assert_eq!(world.judge.faults, Faults::default());
    assert!(world.judge.counts.idle_checks > 0);
    let heard = &world.judge.times.heard_durable;
    assert_eq!((heard.len(), heard.max() / 100), (1, 20));
}

#[test]
fn news_that_never_come_are_found() {
    let mut world = World::idling();
    world.add(2);
    world.wait();
    assert!(world.found(Kind::Late));
    // NOOP makes up for it, and all is there.
    let listing = fetched(11, 1, true) + &fetched(12, 2, true);
    world.audit("* 2 EXISTS\r\n", &listing);
    assert_eq!(
        world.judge.faults.total(),
        world.judge.faults.count(Kind::Late)
    );
}

#[test]
fn a_message_that_is_lost_after_its_250_is_found() {
    let mut world = World::idling();
    world.add(2);
    world.audit("* 2 EXISTS\r\n", &fetched(11, 1, true));
    assert!(world.found(Kind::Lost));
}

#[test]
fn an_expunge_that_nobody_asked_for_is_found() {
    let mut world = World::idling();
    world.hear("* 1 EXPUNGE\r\n");
    assert!(world.found(Kind::Expunge));
}

#[test]
fn a_reused_uid_and_a_doubled_message_are_found() {
    let mut world = World::idling();
    world.add(2);
    let listing = fetched(11, 1, true) + &fetched(12, 1, true).replace("* 1", "* 2");
    world.audit("* 2 EXISTS\r\n", &listing);
    assert!(world.found(Kind::Doubled));
    let mut world = World::idling();
    world.audit("", &fetched(11, 1, false));
    world.add(2);
    world.hear("* 2 EXISTS\r\n");
    world.hear(&fetched(9, 2, true));
    assert!(world.found(Kind::Uid));
}

#[test]
fn flags_other_than_those_stored_are_found() {
    let mut world = World::idling();
    let listing = fetched(11, 1, false).replace("FLAGS ()", "FLAGS (\\Seen)");
    world.audit("", &listing);
    assert!(world.found(Kind::Flags));
}

#[test]
fn a_connection_that_breaks_off_excuses_what_was_under_way() {
    let mut world = World::idling();
    world
        .judge
        .begin(&mut world.member, Command::Append { id: 2 }, world.now_ns);
    world.judge.lose(&mut world.member, world.now_ns);
    world.wait();
    assert_eq!(world.judge.counts.idle_checks, 0);
    assert!(!world.judge.mailboxes[0].is_certain());
    assert_eq!(world.judge.faults, Faults::default());
}
