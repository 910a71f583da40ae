//! Two sessions on one mailbox: whatever they do, each client's view of message numbers holds.

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;
use proptest::prelude::*;

/// A command, with numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
enum Do {
    Append,
    Store(u32, &'static str),
    UidStore(u32, &'static str),
    Expunge,
    Fetch(u32),
    UidFetch,
    Search,
    Copy(u32),
    Move(u32),
    Noop,
    Idle,
    Close,
    Notify(&'static str),
}

/// What may be asked of the selected mailbox by NOTIFY (RFC 5465 §6.1).
const NOTIFY: [&str; 5] = [
    "NONE",
    "SET (SELECTED (MessageNew MessageExpunge FlagChange))",
    "SET (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))",
    "SET (SELECTED-DELAYED (MessageNew MessageExpunge))",
    "SET (SELECTED-DELAYED (MessageNew (UID) MessageExpunge)) \
     (PERSONAL (MessageNew MessageExpunge))",
];

fn command() -> impl Strategy<Value = (bool, Do)> {
    let flags = || {
        prop_oneof![
            Just("+FLAGS (\\Deleted)"),
            Just("FLAGS (\\Seen)"),
            Just("-FLAGS.SILENT (\\Seen)")
        ]
    };
    let what = prop_oneof![
        4 => Just(Do::Append),
        3 => (0..9u32, flags()).prop_map(|(n, flags)| Do::Store(n, flags)),
        2 => (1..9u32, flags()).prop_map(|(n, flags)| Do::UidStore(n, flags)),
        2 => Just(Do::Expunge),
        2 => (0..9u32).prop_map(Do::Fetch),
        1 => Just(Do::UidFetch),
        1 => Just(Do::Search),
        1 => (0..9u32).prop_map(Do::Copy),
        1 => (0..9u32).prop_map(Do::Move),
        1 => Just(Do::Noop),
        2 => Just(Do::Idle),
        1 => Just(Do::Close),
        2 => prop::sample::select(&NOTIFY[..]).prop_map(Do::Notify),
    ];
    (any::<bool>(), what)
}

/// What one client believes.
#[derive(Debug, Default)]
struct Client {
    /// For each message number the UID, where it is known.
    view: Vec<Option<u32>>,
    idles: bool,
    selected: bool,
    /// Expunges wait for its next command.
    delays: bool,
}

impl Client {
    /// Reads what the server said; `withheld` if no EXPUNGE may come (RFC 3501 §7.4.1).
    fn hear(&mut self, said: &str, withheld: bool) -> Result<(), TestCaseError> {
        for line in said.split("\r\n") {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let [_, number, what, ..] = words[..] else {
                continue;
            };
            let (true, Ok(number)) = (line.starts_with("* "), number.parse::<usize>()) else {
                continue;
            };
            match what {
                "EXISTS" => {
                    prop_assert!(number >= self.view.len(), "{line}: only EXPUNGE takes away");
                    self.view.resize(number, None);
                }
                "EXPUNGE" => {
                    prop_assert!(!withheld, "{line} came where it must not");
                    prop_assert!((1..=self.view.len()).contains(&number), "{line}");
                    self.view.remove(number - 1);
                }
                "FETCH" => {
                    prop_assert!((1..=self.view.len()).contains(&number), "{line}");
                    if let Some(uid) = uid_in(line) {
                        let known = self.view[number - 1].get_or_insert(uid);
                        prop_assert_eq!(*known, uid, "{}: a number means one message", line);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn uid_in(line: &str) -> Option<u32> {
    let rest = line.split_once("UID ")?.1;
    rest.split([' ', ')']).next()?.parse().ok()
}

/// The source of a COPYUID (RFC 4315 §3).
fn copied_in(said: &str) -> Option<u32> {
    let rest = said.split_once("[COPYUID ")?.1;
    rest.split(' ').nth(1)?.parse().ok()
}

struct Pair {
    world: World,
    clients: [Client; 2],
}

impl Pair {
    fn ask(&mut self, second: bool, line: &str, withheld: bool) -> Result<String, TestCaseError> {
        self.world.input(second, format!("{line}\r\n").as_bytes());
        let said = self.hear(second, withheld)?;
        let other = &self.clients[usize::from(!second)];
        let withheld = other.delays && !other.idles;
        self.hear(!second, withheld)?;
        Ok(said)
    }

    fn hear(&mut self, second: bool, withheld: bool) -> Result<String, TestCaseError> {
        let client = if second {
            &mut self.world.other
        } else {
            &mut self.world.client
        };
        let said = String::from_utf8(std::mem::take(&mut client.said)).expect("text");
        self.clients[usize::from(second)].hear(&said, withheld)?;
        Ok(said)
    }

    fn select(&mut self, second: bool) -> Result<(), TestCaseError> {
        self.clients[usize::from(second)].view.clear();
        self.clients[usize::from(second)].selected = true;
        self.ask(second, "s SELECT INBOX", false)?;
        Ok(())
    }

    fn act(&mut self, second: bool, what: &Do) -> Result<(), TestCaseError> {
        let client = &mut self.clients[usize::from(second)];
        if std::mem::take(&mut client.idles) {
            self.ask(second, "DONE", false)?;
        }
        if !self.clients[usize::from(second)].selected {
            self.select(second)?;
        }
        let client = &mut self.clients[usize::from(second)];
        let number = |n: &u32| (!client.view.is_empty()).then(|| n % client.view.len() as u32 + 1);
        let (line, withheld) = match what {
            Do::Append => ("a APPEND INBOX {3+}\r\nabc".to_owned(), false),
            Do::Store(n, flags) => match number(n) {
                Some(n) => (format!("a STORE {n} {flags}"), true),
                None => return Ok(()),
            },
            Do::UidStore(n, flags) => (format!("a UID STORE {n} {flags}"), false),
            Do::Expunge => ("a EXPUNGE".to_owned(), false),
            Do::Fetch(n) => match number(n) {
                Some(n) => (format!("a FETCH {n}:* (UID FLAGS)"), true),
                None => return Ok(()),
            },
            Do::UidFetch => ("a UID FETCH 1:* FLAGS".to_owned(), false),
            Do::Search => ("a SEARCH UNSEEN".to_owned(), true),
            Do::Copy(n) => match number(n) {
                Some(n) => (format!("a COPY {n} INBOX"), false),
                None => return Ok(()),
            },
            Do::Move(n) => match number(n) {
                Some(n) => (format!("a MOVE {n} Else"), false),
                None => return Ok(()),
            },
            Do::Noop => ("a NOOP".to_owned(), false),
            Do::Idle => {
                client.idles = true;
                ("a IDLE".to_owned(), false)
            }
            Do::Notify(what) => {
                client.delays = what.contains("DELAYED");
                (format!("a NOTIFY {what}"), false)
            }
            Do::Close => {
                client.selected = false;
                ("a CLOSE".to_owned(), false)
            }
        };
        let meant = match what {
            Do::Copy(n) | Do::Move(n) => {
                let view = &self.clients[usize::from(second)].view;
                view[(n % view.len() as u32) as usize]
            }
            _ => None,
        };
        let said = self.ask(second, &line, withheld)?;
        if let (Some(meant), Some(copied)) = (meant, copied_in(&said)) {
            prop_assert_eq!(meant, copied, "{} takes another message: {}", line, said);
        }
        prop_assert!(!said.contains("a BAD"), "{line}: {said}");
        if matches!(what, Do::Copy(_) | Do::Move(_)) && said.contains("a NO") {
            prop_assert!(
                said.contains(" EXPUNGE\r\n"),
                "{line} may fail for lost messages only"
            );
        }
        Ok(())
    }

    /// Both clients look at everything, and see the same.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        let mut views = vec![];
        for second in [false, true] {
            self.act(second, &Do::Noop)?;
            self.ask(second, "z FETCH 1:* UID", true)?;
            views.push(self.clients[usize::from(second)].view.clone());
        }
        prop_assert!(views[0].iter().all(Option::is_some), "{:?}", views[0]);
        prop_assert_eq!(&views[0], &views[1]);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn views_hold(steps in prop::collection::vec(command(), 1..40)) {
        let mut pair = Pair { world: World::new(), clients: Default::default() };
        pair.ask(false, "l LOGIN fred secret", false)?;
        pair.ask(false, "m CREATE Else", false)?;
        for (second, what) in steps {
            pair.act(second, &what)?;
        }
        pair.compare()?;
    }
}
