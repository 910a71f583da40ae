//! NOTIFY (RFC 5465) as a value; and what a BAD says of a broken one.

use mail::MailboxName;
use proptest::prelude::*;
use proto::imap::ast::{
    Command, EventGroup, FetchItem, NotifyEvent, NotifyMailboxes, NotifySet, Section, SectionText,
};
use proto::imap::parse::parse_command;

fn check(input: &str, expected: Command) {
    match parse_command(input.as_bytes()) {
        Ok(tagged) => assert_eq!(tagged.command, expected, "{input}"),
        Err(error) => panic!("{input}: {error}"),
    }
}

fn refused(input: &str, expected: &str) {
    let error = parse_command(input.as_bytes()).expect_err(input);
    assert_eq!(error.to_string(), format!("expected {expected}"), "{input}");
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text)
}

/// RFC 5465 §3.1, as errata 1804 and 2318 have it, and §8.
#[test]
fn notify() {
    use NotifyEvent as E;
    check("d NOTIFY none", Command::Notify(None));
    let group = |mailboxes, events: &[E]| EventGroup {
        mailboxes,
        events: events.to_vec(),
    };
    let fields = ["from", "to", "subject"].map(Into::into).to_vec();
    let section = FetchItem::Section {
        section: Section {
            part: vec![],
            text: SectionText::HeaderFields(fields),
        },
        peek: true,
        partial: None,
    };
    let messages = |items: &[FetchItem]| [E::MessageNew(items.to_vec()), E::MessageExpunge];
    let set = |status, groups: &[EventGroup]| {
        Command::Notify(Some(Box::new(NotifySet {
            status,
            groups: groups.to_vec(),
        })))
    };
    let selected = group(
        NotifyMailboxes::Selected,
        &messages(&[FetchItem::Uid, section]),
    );
    let lists = group(
        NotifyMailboxes::Subtree(vec![name("Lists")]),
        &messages(&[]),
    );
    check(
        "b notify set status (selected (MessageNew (uid \
         body.peek[header.fields (from to subject)]) MessageExpunge)) \
         (subtree Lists (MessageNew MessageExpunge))",
        set(true, &[selected, lists]),
    );
    let names = NotifyMailboxes::Mailboxes(vec![name("a"), name("b c")]);
    check(
        "e NOTIFY SET (SELECTED-DELAYED NONE) (mailboxes (a \"b c\") (MAILBOXNAME)) \
         (Inboxes (SubscriptionChange X-Other))",
        set(
            false,
            &[
                group(NotifyMailboxes::SelectedDelayed, &[]),
                group(names, &[E::MailboxName]),
                group(
                    NotifyMailboxes::Inboxes,
                    &[E::SubscriptionChange, E::Unknown],
                ),
            ],
        ),
    );
    // Without the parentheses, as the RFC had them.
    refused("e notify set (subtree Lists MessageNew)", "( at column 29");
    let many = format!("e NOTIFY SET (MAILBOXES ({}) NONE)", ["a"; 1001].join(" "));
    let error = parse_command(many.as_bytes()).expect_err("too many");
    assert!(error.to_string().contains("1000 names"), "{error}");
}

fn group() -> impl Strategy<Value = String> {
    let names = prop_oneof![Just("INBOX"), Just("(a \"b c\" {1+}\r\nx)"), Just("&AOk-"),];
    let named = (prop_oneof![Just("SUBTREE"), Just("mailboxes")], names)
        .prop_map(|(filter, names)| format!("{filter} {names}"));
    let mailboxes = prop_oneof![
        Just("Inboxes".to_owned()),
        Just("PERSONAL".to_owned()),
        Just("subscribed".to_owned()),
        named,
    ];
    let events = prop_oneof![
        Just("NONE"),
        Just("(MailboxName SubscriptionChange)"),
        Just("(messagenew MESSAGEEXPUNGE)"),
        Just("(FlagChange MessageNew MessageExpunge X-Event)"),
    ];
    (mailboxes, events).prop_map(|(mailboxes, events)| format!(" ({mailboxes} {events})"))
}

fn command() -> impl Strategy<Value = String> {
    let selected = prop_oneof![
        Just(""),
        Just(" (SELECTED (MessageNew (UID BODY.PEEK[TEXT]<0.9>) MessageExpunge))"),
        Just(" (selected-delayed NONE)"),
    ];
    let groups = prop::collection::vec(group(), 1..5);
    (any::<bool>(), selected, groups).prop_map(|(status, selected, groups)| {
        let status = if status { " STATUS" } else { "" };
        format!("a NOTIFY SET{status}{selected}{}", groups.concat())
    })
}

proptest! {
    #[test]
    fn whatever_follows_the_grammar_is_read(command in command()) {
        let read = parse_command(command.as_bytes());
        prop_assert!(read.is_ok(), "{command}: {read:?}");
    }

    /// An error points into the command.
    #[test]
    fn whatever_was_broken_is_refused_or_read(
        command in command(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = command.into_bytes();
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        if let Err(error) = parse_command(&bytes) {
            prop_assert!(error.at <= bytes.len() && !error.expected.is_empty());
        }
    }
}
