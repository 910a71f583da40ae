//! Threads against RFC 5256's rules as they are written, done by hand on trees.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::sort::{SortKeys, keys};

/// A message, by its fields.
#[derive(Clone, Debug, Default)]
struct Mail {
    id: Option<u8>,
    references: Vec<u8>,
    /// Base subject and whether `Re:` stands before it.
    subject: (u8, bool),
    sent_s: i64,
    arrival_s: i64,
}

impl Mail {
    fn header(&self) -> String {
        let (subject, is_answer) = self.subject;
        let subject = ["", "one", "two"][usize::from(subject % 3)];
        let re = if is_answer { "Re: " } else { "" };
        let mut header = format!(
            "Subject: {re}{subject}\r\nDate: 1 Jan 2000 00:00:{:02} +0000\r\n",
            self.sent_s
        );
        if let Some(id) = self.id {
            header.push_str(&format!("Message-ID: <{id}@x>\r\n"));
        }
        let references: String = self
            .references
            .iter()
            .map(|it| format!("<{it}@x> "))
            .collect();
        format!("{header}References: {references}\r\n\r\n")
    }
}

/// What the shipped code says.
fn threaded(algorithm: Algorithm, mails: &[Mail]) -> String {
    let mut threader = Threader::new(algorithm);
    for (uid, mail) in (1..).zip(mails) {
        let bytes = keys::of_header(mail.header().as_bytes());
        threader.push(&Facts {
            uid: Uid(uid),
            arrival_s: mail.arrival_s,
            size: 0,
            keys: SortKeys::read(&bytes).expect("just made"),
        });
    }
    while !threader.step() {}
    said(&threader.into_parts())
}

fn said(parts: &[Part]) -> String {
    let (mut text, mut after_number) = (String::new(), false);
    for part in parts {
        let blank = if after_number { " " } else { "" };
        after_number = false;
        match part {
            Part::Open => text.push_str(&format!("{blank}(")),
            Part::Close => text.push(')'),
            Part::Message(uid) => {
                text.push_str(&format!("{blank}{uid}"));
                after_number = true;
            }
        }
    }
    text
}

/// A tree as the RFC speaks of it.
#[derive(Clone, Debug)]
struct Tree {
    /// None: a dummy.
    mail: Option<usize>,
    children: Vec<Tree>,
}

impl Tree {
    fn first(&self) -> usize {
        self.mail.unwrap_or_else(|| self.children[0].first())
    }

    fn sort(trees: &mut [Tree], mails: &[Mail]) {
        for tree in trees.iter_mut() {
            Self::sort(&mut tree.children, mails);
        }
        trees.sort_by_key(|tree| (mails[tree.first()].sent_s, tree.first()));
    }

    fn latest(&self, mails: &[Mail]) -> i64 {
        let own = self.mail.map(|mail| mails[mail].arrival_s);
        let below = self.children.iter().map(|tree| tree.latest(mails));
        below.chain(own).max().expect("a message")
    }

    fn say(&self) -> String {
        let own = self.mail.map(|mail| (mail + 1).to_string());
        let below = match (&self.children[..], self.mail) {
            ([], _) => String::new(),
            ([only], Some(_)) => format!(" {}", only.say()),
            (many, own) => {
                let blank = if own.is_some() { " " } else { "" };
                let many: String = many.iter().map(|it| format!("({})", it.say())).collect();
                format!("{blank}{many}")
            }
        };
        format!("{}{below}", own.unwrap_or_default())
    }
}

/// Steps 1 and 2: the parent of each node; nodes are messages, then IDs of missing ones.
fn linked(mails: &[Mail]) -> (BTreeMap<usize, usize>, usize) {
    let mut nodes: BTreeMap<u8, usize> = BTreeMap::new();
    // Of each ID, the message that has it first.
    for (number, mail) in mails.iter().enumerate() {
        if let Some(id) = mail.id {
            nodes.entry(id).or_insert(number);
        }
    }
    let mut count = mails.len();
    let mut parents: BTreeMap<usize, usize> = BTreeMap::new();
    let is_above = |parents: &BTreeMap<usize, usize>, above: usize, mut node: usize| loop {
        if node == above {
            return true;
        }
        match parents.get(&node) {
            Some(parent) => node = *parent,
            None => return false,
        }
    };
    for (number, mail) in mails.iter().enumerate() {
        let mut chain = Vec::new();
        for id in &mail.references {
            chain.push(*nodes.entry(*id).or_insert_with(|| {
                count += 1;
                count - 1
            }));
        }
        for pair in chain.windows(2) {
            let (parent, child) = (pair[0], pair[1]);
            if !parents.contains_key(&child) && !is_above(&parents, child, parent) {
                parents.insert(child, parent);
            }
        }
        parents.remove(&number);
        if let Some(last) = chain.last()
            && !is_above(&parents, number, *last)
        {
            parents.insert(number, *last);
        }
    }
    (parents, count)
}

/// Steps 2 and 3.
fn pruned(node: usize, depth: usize, mails: usize, parents: &BTreeMap<usize, usize>) -> Vec<Tree> {
    let below = parents.iter().filter(|(_, parent)| **parent == node);
    let children: Vec<Tree> = below
        .flat_map(|(child, _)| pruned(*child, depth + 1, mails, parents))
        .collect();
    let mail = (node < mails).then_some(node);
    match (mail, depth, children.len()) {
        (Some(_), ..) | (None, 0, 2..) => vec![Tree { mail, children }],
        (None, ..) => children,
    }
}

fn by_hand(algorithm: Algorithm, mails: &[Mail]) -> String {
    let mut trees = match algorithm {
        Algorithm::OrderedSubject => return by_subject(mails),
        Algorithm::References | Algorithm::Refs => {
            let (parents, count) = linked(mails);
            let tops = (0..count).filter(|node| !parents.contains_key(node));
            tops.flat_map(|top| pruned(top, 0, mails.len(), &parents))
                .collect::<Vec<_>>()
        }
    };
    Tree::sort(&mut trees, mails);
    match algorithm {
        Algorithm::Refs => trees.sort_by_key(|tree| tree.latest(mails)),
        _ => {
            gather(&mut trees, mails);
            Tree::sort(&mut trees, mails);
        }
    }
    trees.iter().map(|it| format!("({})", it.say())).collect()
}

/// Step 5.
fn gather(trees: &mut Vec<Tree>, mails: &[Mail]) {
    let subject = |tree: &Tree| mails[tree.first()].subject.0 % 3;
    let is_answer = |tree: &Tree| mails[tree.first()].subject.1;
    let mut table: BTreeMap<u8, usize> = BTreeMap::new();
    for (at, tree) in trees.iter().enumerate().filter(|(_, it)| subject(it) != 0) {
        let known = *table.entry(subject(tree)).or_insert(at);
        let in_table = &trees[known];
        if in_table.mail.is_some()
            && (tree.mail.is_none() || is_answer(in_table) && !is_answer(tree))
        {
            table.insert(subject(tree), at);
        }
    }
    let mut slots: Vec<Option<Tree>> = trees.drain(..).map(Some).collect();
    for at in 0..slots.len() {
        let Some(tree) = slots[at].clone() else {
            continue;
        };
        let Some(&known) = table.get(&subject(&tree)) else {
            continue;
        };
        if known == at {
            continue;
        }
        slots[at] = None;
        let target = slots[known].as_mut().expect("those in the table stay");
        match (target.mail, tree.mail) {
            (None, None) => target.children.extend(tree.children),
            (None, Some(_)) => target.children.push(tree),
            (Some(_), _) if is_answer(&tree) && !is_answer(target) => target.children.push(tree),
            (Some(_), _) => {
                let children = vec![target.clone(), tree];
                *target = Tree {
                    mail: None,
                    children,
                };
                // Of a dummy the first child counts.
                Tree::sort(&mut target.children, mails);
            }
        }
    }
    trees.extend(slots.into_iter().flatten());
    for tree in trees {
        Tree::sort(&mut tree.children, mails);
    }
}

fn by_subject(mails: &[Mail]) -> String {
    let mut groups: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for (number, mail) in mails.iter().enumerate() {
        groups.entry(mail.subject.0 % 3).or_default().push(number);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(|number| (mails[*number].sent_s, *number));
    }
    groups.sort_by_key(|group| (mails[group[0]].sent_s, group[0]));
    let said = |group: &Vec<usize>| match &group[1..] {
        [] => format!("({})", group[0] + 1),
        [second] => format!("({} {})", group[0] + 1, second + 1),
        rest => {
            let rest: String = rest.iter().map(|it| format!("({})", it + 1)).collect();
            format!("({} {rest})", group[0] + 1)
        }
    };
    groups.iter().map(said).collect()
}

fn mail() -> impl Strategy<Value = Mail> {
    (
        prop::option::weighted(0.9, 0u8..12),
        prop::collection::vec(0u8..14, 0..4),
        (0u8..3, any::<bool>()),
        0i64..20,
        0i64..20,
    )
        .prop_map(|(id, references, subject, sent_s, arrival_s)| Mail {
            id,
            references,
            subject,
            sent_s,
            arrival_s,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn threads_are_as_the_rules_say(mails in prop::collection::vec(mail(), 0..12)) {
        for algorithm in [Algorithm::References, Algorithm::Refs, Algorithm::OrderedSubject] {
            let expected = by_hand(algorithm, &mails);
            prop_assert_eq!(threaded(algorithm, &mails), expected, "{:?}", algorithm);
        }
    }
}

fn reply(id: u8, references: &[u8], sent_s: i64) -> Mail {
    Mail {
        id: Some(id),
        references: references.to_vec(),
        subject: (0, false),
        sent_s,
        arrival_s: sent_s,
    }
}

/// RFC 5256 §4 in its response to THREAD: 2; 3, 6, then two branches; and two without their parent.
#[test]
fn the_rfcs_example_of_an_answer() {
    let mails = [
        reply(1, &[9], 1),
        reply(2, &[], 0),
        reply(3, &[], 2),
        reply(4, &[3, 6], 4),
        reply(5, &[9], 5),
        reply(6, &[3], 3),
        reply(7, &[3, 6], 7),
        reply(8, &[3, 6, 4], 8),
        reply(10, &[7], 9),
    ];
    assert_eq!(
        threaded(Algorithm::References, &mails),
        "(2)((1)(5))(3 6 (4 8)(7 9))"
    );
}

#[test]
fn a_conversation_of_any_depth_takes_no_recursion() {
    let count = 60_000_u32;
    let mut threader = Threader::new(Algorithm::References);
    let mut steps = 0;
    for uid in 1..=count {
        let header = format!(
            "Message-ID: <{uid}@x>\r\nReferences: <{}@x> <{}@x>\r\n\r\n",
            uid.saturating_sub(2),
            uid - 1
        );
        let bytes = keys::of_header(header.as_bytes());
        threader.push(&Facts {
            uid: Uid(uid),
            arrival_s: 0,
            size: 0,
            keys: SortKeys::read(&bytes).expect("just made"),
        });
    }
    while !threader.step() {
        steps += 1;
    }
    assert!(steps > 10, "in pieces");
    let parts = threader.into_parts();
    assert_eq!(parts.len(), count as usize + 2);
}

#[test]
fn what_is_left_of_a_conversation_has_no_lonely_branch() {
    let parts = |text: &str| -> Vec<Part> {
        let parts = text.chars().filter_map(|c| match c {
            '(' => Some(Part::Open),
            ')' => Some(Part::Close),
            c => c.to_digit(10).map(Uid).map(Part::Message),
        });
        parts.collect()
    };
    for (text, gone, expected) in [
        ("(1 2)(3)", "", "(1 2)(3)"),
        ("(1 (2)(3))", "2", "(1 3)"),
        ("((2)(3))", "2", "(3)"),
        ("((2)(3))(4)", "23", "(4)"),
        ("(1 (2)(3)(4))", "2", "(1 (3)(4))"),
        ("(1 (2)(3 (4)(5)))", "2", "(1 3 (4)(5))"),
        ("(1 (2)(3 (4)(5)))", "13", "((2)((4)(5)))"),
        ("(1 (2 (6)(7))(3))", "67", "(1 (2)(3))"),
    ] {
        let left = without(&parts(text), |uid| !gone.contains(&uid.0.to_string()));
        assert_eq!(said(&left), expected, "{text} without {gone}");
    }
}
