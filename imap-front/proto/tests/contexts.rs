//! Searches that are followed (RFC 5267 §4.3): what a client makes of the changes it is told is
//! what another search finds, whatever two sessions do.

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;
use proptest::prelude::*;

/// Searches, each with the command by which it is done again.
const SEARCHES: [(&str, &str, &str); 5] = [
    ("A", "UID SEARCH", "UNSEEN UNDELETED"),
    ("B", "UID SEARCH", "OR DELETED SUBJECT b"),
    ("C", "UID SORT", "(SUBJECT REVERSE ARRIVAL) UTF-8 NOT SEEN"),
    ("D", "UID SORT", "(REVERSE SIZE) UTF-8 1:*"),
    ("E", "SEARCH", "FLAGGED NOT SUBJECT c"),
];

#[derive(Clone, Debug)]
enum Do {
    Append(char, usize),
    Store(u32, &'static str),
    Expunge,
    /// While the client idles, which the second session does not.
    Idle(Box<Do>),
    Noop,
    Fetch,
}

fn command() -> impl Strategy<Value = (bool, Do)> {
    let flags = prop::sample::select(vec![
        "+FLAGS (\\Deleted)",
        "FLAGS (\\Seen)",
        "-FLAGS.SILENT (\\Seen \\Deleted)",
        "+FLAGS.SILENT (\\Flagged)",
    ]);
    let what = prop_oneof![
        4 => ("[abc]", 1..20usize).prop_map(|(subject, size)| {
            Do::Append(subject.chars().next().unwrap_or('a'), size)
        }),
        6 => (0..9u32, flags).prop_map(|(number, flags)| Do::Store(number, flags)),
        2 => Just(Do::Expunge),
        1 => Just(Do::Noop),
        1 => Just(Do::Fetch),
    ];
    let what = what.prop_flat_map(
        |what| prop_oneof![3 => Just(what.clone()), 1 => Just(Do::Idle(Box::new(what)))],
    );
    (any::<bool>(), what)
}

/// What the client believes.
#[derive(Default)]
struct Client {
    exists: u32,
    results: [Vec<u32>; SEARCHES.len()],
}

/// `5,3:4` as numbers, in that order.
fn numbers(set: &str) -> Vec<u32> {
    let range = |text: &str| -> Vec<u32> {
        let (low, high) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.parse().expect("a number");
        (number(low)..=number(high)).collect()
    };
    set.split(',').flat_map(range).collect()
}

impl Client {
    fn hear(&mut self, said: &str) {
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["*", number, "EXISTS"] => self.exists = number.parse().expect("a number"),
                ["*", number, "EXPUNGE"] => self.expunged(number.parse().expect("a number")),
                ["*", "NO", ..] => panic!("{line}"),
                ["*", "ESEARCH", "(TAG", tag, ..] => self.update(tag, line),
                _ => {}
            }
        }
    }

    /// Numbers shift; results in numbers hold none that is gone.
    fn expunged(&mut self, gone: u32) {
        self.exists -= 1;
        for (at, (_, command, _)) in SEARCHES.iter().enumerate() {
            if !command.starts_with("UID") {
                let result = &mut self.results[at];
                assert!(!result.contains(&gone), "{gone} was not removed before");
                result
                    .iter_mut()
                    .for_each(|it| *it -= u32::from(*it > gone));
            }
        }
    }

    fn update(&mut self, tag: &str, line: &str) {
        let tag = tag.trim_matches(['"', ')']);
        let Some(at) = SEARCHES.iter().position(|(known, ..)| *known == tag) else {
            return;
        };
        let result = &mut self.results[at];
        if let Some((_, all)) = line.split_once(" ALL ") {
            *result = numbers(all);
        }
        let items = line.split(" REMOVEFROM (").nth(1).map(|it| (false, it));
        let added = line.split(" ADDTO (").nth(1).map(|it| (true, it));
        for (adds, pairs) in items.into_iter().chain(added) {
            let pairs: Vec<&str> = pairs.split(')').next().unwrap_or("").split(' ').collect();
            for pair in pairs.chunks(2) {
                let place: usize = pair[0].parse().expect("a place");
                for (nth, number) in numbers(pair[1]).into_iter().enumerate() {
                    match (adds, place) {
                        (true, 0) => {
                            assert!(!result.contains(&number), "{line}");
                            result.push(number);
                            result.sort_unstable();
                        }
                        (true, place) => result.insert(place - 1 + nth, number),
                        (false, 0) => {
                            let had = result.iter().position(|it| *it == number);
                            result.remove(had.expect(line));
                        }
                        (false, place) => assert_eq!(result.remove(place - 1), number, "{line}"),
                    }
                }
            }
        }
    }
}

struct Pair {
    world: World,
    client: Client,
}

impl Pair {
    fn ask(&mut self, second: bool, line: &str) -> String {
        self.world.input(second, format!("{line}\r\n").as_bytes());
        self.world.other.said.clear();
        let said = String::from_utf8(self.world.said()).expect("text");
        self.client.hear(&said);
        said
    }

    fn act(&mut self, second: bool, what: &Do) {
        let number = |number: &u32, exists: u32| number % exists.max(1) + 1;
        match what {
            Do::Append(subject, size) => {
                let text = format!("Subject: {subject}\r\n\r\n{}", "x".repeat(*size));
                self.ask(
                    second,
                    &format!("a APPEND INBOX {{{}+}}\r\n{text}", text.len()),
                );
            }
            Do::Store(at, flags) if self.client.exists > 0 => {
                let at = number(at, self.client.exists);
                self.ask(second, &format!("a STORE {at} {flags}"));
            }
            Do::Store(..) => {}
            Do::Expunge => drop(self.ask(second, "a EXPUNGE")),
            Do::Noop => drop(self.ask(second, "a NOOP")),
            Do::Fetch => drop(self.ask(second, "a FETCH 1:* FLAGS")),
            Do::Idle(what) => {
                self.ask(false, "i IDLE");
                self.act(true, what);
                self.ask(false, "DONE");
            }
        }
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.ask(false, "a NOOP");
        for (at, (tag, command, key)) in SEARCHES.into_iter().enumerate() {
            let said = self.ask(false, &format!("again {command} RETURN (ALL) {key}"));
            let all = said.split_once(" ALL ").map(|(_, rest)| rest);
            let found = all.map_or(vec![], |it| numbers(it.lines().next().unwrap_or("")));
            prop_assert_eq!(&self.client.results[at], &found, "{}: {}", tag, said);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_told_leads_to_what_is_found(steps in prop::collection::vec(command(), 1..40)) {
        let mut pair = Pair { world: World::new(), client: Client::default() };
        pair.ask(false, "l LOGIN fred secret");
        for number in 0..4 {
            pair.act(true, &Do::Append(['a', 'b', 'c', 'a'][number], number + 1));
        }
        pair.ask(true, "s SELECT INBOX");
        pair.ask(false, "s SELECT INBOX");
        for (tag, command, key) in SEARCHES {
            pair.ask(false, &format!("{tag} {command} RETURN (UPDATE ALL) {key}"));
        }
        for (at, (second, what)) in steps.iter().enumerate() {
            pair.act(*second, what);
            if at % 5 == 4 {
                pair.compare()?;
            }
        }
        pair.compare()?;
    }
}
