//! Values written and read again, with proptest's shrinking: names, sets, strings, dates, numbers.

use mail::{InternalDate, MailboxName};
use proptest::prelude::*;
use proto::imap::ast::{AppendPart, Command};
use proto::imap::lexer::Lexer;
use proto::imap::name_form::NameForm;
use proto::imap::{encode, mutf7, parse};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

proptest! {
    #[test]
    fn any_text_can_be_a_name(name in any::<String>()) {
        let encoded = mutf7::encode(&name);
        prop_assert!(encoded.bytes().all(|b| (0x20..0x7f).contains(&b)));
        prop_assert_eq!(mutf7::decode(encoded.as_bytes()), Ok(name));
    }

    #[test]
    fn each_name_has_one_encoding(bytes in "[&,+/A-Za-z0-9 -]{0,12}") {
        if let Ok(name) = mutf7::decode(bytes.as_bytes()) {
            prop_assert_eq!(mutf7::encode(&name), bytes);
        }
    }

    // NUL can't stand in a literal, and no name with it can be created.
    #[test]
    fn mailboxes_are_read_as_written(name in "[^/\\x00]{1,8}(/[^/\\x00]{1,8}){0,3}") {
        let name = MailboxName::new(&name);
        for form in [NameForm::Utf7, NameForm::Utf8] {
            let mut line = b"a SUBSCRIBE ".to_vec();
            encode::mailbox(&mut line, &name, form);
            let command = parse::parse_command_in(&line, form).map(|tagged| tagged.command);
            match form.is_utf8() && name.as_str().chars().any(char::is_control) {
                true => prop_assert!(command.is_err()),
                false => prop_assert_eq!(command, Ok(Command::Subscribe(name.clone()))),
            }
        }
    }

    #[test]
    fn strings_are_read_as_written(bytes in prop::collection::vec(1..=255u8, 0..40)) {
        let text = written(|out| encode::astring(out, &bytes));
        let mut lexer = Lexer::new(&text);
        prop_assert_eq!(lexer.astring(), Ok(bytes.clone().into()));
        prop_assert_eq!(lexer.end(), Ok(()));
        let text = written(|out| encode::nstring(out, Some(&bytes)));
        let mut lexer = Lexer::new(&text);
        prop_assert_eq!(lexer.nstring(), Ok(Some(bytes.into())));
        prop_assert_eq!(lexer.end(), Ok(()));
    }

    #[test]
    fn numbers_are_written_as_sets(numbers in prop::collection::btree_set(1..60u32, 1..40)) {
        let text = written(|out| encode::number_set(out, numbers.iter().copied()));
        let set = parse::sequence_set(&mut Lexer::new(&text)).expect("a set");
        let ranges = set.resolve(60);
        let held: Vec<u32> = ranges.iter().flat_map(|&(low, high)| low..=high).collect();
        prop_assert_eq!(held, Vec::from_iter(numbers));
        // Compact: no two ranges could be one.
        prop_assert_eq!(ranges.len(), set.0.len());
    }

    #[test]
    fn dates_are_read_as_written(
        // 0001-01-02 to 9999-12-30: any zone stays within four digits of year.
        unix_s in -62_135_510_400i64..253_402_128_000,
        zone_min in -1439..=1439i16,
    ) {
        let date = InternalDate { unix_s, zone_min };
        let mut line = b"a APPEND b ".to_vec();
        encode::internal_date(&mut line, date);
        line.extend_from_slice(b" {1}");
        match parse::parse_command(&line).map(|tagged| tagged.command) {
            Ok(Command::Append { parts, .. }) => match parts[0] {
                AppendPart::Message { date: read, .. } => prop_assert_eq!(read, Some(date)),
                ref other => prop_assert!(false, "{:?}", other),
            },
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Err(error) = parse::parse_command(&bytes) {
            prop_assert!(error.at <= bytes.len());
        }
    }
}
