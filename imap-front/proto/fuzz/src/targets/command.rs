//! Commands: an error points into the command; what was read can be written and read again.

use mail::request::StoreMode;
use mail::signed_url::{AccessKey, KEY_BYTES};
use mail::{Flags, InternalDate, MailboxName, Rights, RightsMode};
use proto::imap::ast::{AppendPart, Command, FetchItem, Tagged};
use proto::imap::lexer::literal_at_end;
use proto::imap::name_form::NameForm;
use proto::imap::parse::parse_command_in;
use proto::imap::{encode, render, url, url_auth};

/// One command of a client, as the session's parser gets it.
pub fn imap_command(data: &[u8]) {
    if literal_at_end(data).is_some() {
        assert!(data.contains(&b'{') && data.ends_with(b"}"));
    }
    for form in [NameForm::Utf7, NameForm::Utf8, NameForm::Utf8Alone] {
        one_command(data, form);
    }
}

fn one_command(data: &[u8], form: NameForm) {
    match parse_command_in(data, form) {
        Err(error) => {
            assert!(error.at <= data.len());
            assert!(!error.expected.is_empty());
            assert!(error.tag.is_none_or(|tag| data.starts_with(tag.as_bytes())));
        }
        Ok(Tagged { tag, command }) => {
            assert!(data.starts_with(tag.as_bytes()) && !tag.contains('+'));
            check(command, form);
        }
    }
}

fn check(command: Command, form: NameForm) {
    match command {
        Command::Select { mailbox, .. }
        | Command::Delete(mailbox)
        | Command::Subscribe(mailbox)
        | Command::GetAcl(mailbox)
        | Command::MyRights(mailbox)
        | Command::Copy { mailbox, .. } => check_mailbox(&mailbox, form),
        Command::GenUrlAuth(urls) => urls.iter().for_each(|(url, _)| check_rump(url)),
        Command::UrlFetch(urls) => urls.iter().for_each(|url| check_full(url)),
        Command::ResetKey {
            mailbox: Some(mailbox),
            ..
        } => check_mailbox(&mailbox, form),
        Command::Append { mailbox, parts, .. } => {
            check_mailbox(&mailbox, form);
            parts.into_iter().for_each(check_part);
        }
        Command::SetAcl {
            mailbox,
            identifier,
            rights,
            delete: false,
            mode: RightsMode::Replace,
        } => {
            check_mailbox(&mailbox, form);
            check_rights(&identifier, rights);
        }
        Command::Store { flags, .. } => check_flags(flags),
        Command::Fetch { items, .. } => items.into_iter().for_each(check_item),
        _ => {}
    }
}

fn again(write: impl FnOnce(&mut Vec<u8>), before: &str, after: &str) -> Command {
    again_in(write, (before, after), NameForm::Utf7)
}

fn again_in(
    write: impl FnOnce(&mut Vec<u8>),
    (before, after): (&str, &str),
    form: NameForm,
) -> Command {
    let mut text = before.as_bytes().to_vec();
    write(&mut text);
    text.extend_from_slice(after.as_bytes());
    match parse_command_in(&text, form) {
        Ok(tagged) => tagged.command,
        Err(error) => panic!("{}: {error}", String::from_utf8_lossy(&text)),
    }
}

fn check_mailbox(name: &MailboxName, form: NameForm) {
    // Of several delimiters at the end only one is dropped at each reading.
    if name.as_str().ends_with('/') || name.as_str().is_empty() {
        return;
    }
    let read = again_in(
        |out| encode::mailbox(out, name, form),
        ("a DELETE ", ""),
        form,
    );
    assert_eq!(read, Command::Delete(name.clone()));
}

/// What is prepared once stays as it is, and so do rights that are told with the virtual ones.
fn check_rights(identifier: &str, rights: Rights) {
    let write = |out: &mut Vec<u8>| {
        encode::astring(out, identifier.as_bytes());
        out.push(b' ');
        encode::astring(out, rights.to_string().as_bytes());
    };
    let Command::SetAcl {
        identifier: read,
        rights: told,
        ..
    } = again(write, "a SETACL x ", "")
    else {
        panic!("not a SETACL");
    };
    assert_eq!(*read, *identifier);
    // A virtual right that is told stands for all that it is made of.
    assert!(told.contains(rights));
}

fn check_part(part: AppendPart) {
    match part {
        AppendPart::Message { flags, date } => {
            check_flags(flags);
            date.into_iter().for_each(check_date);
        }
        AppendPart::Url(url) => check_url(&url),
        _ => {}
    }
}

/// A URL that is read says how it is read again; each can stand in a response code.
fn check_url(text: &[u8]) {
    let code = url::in_code(text);
    assert!(code.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b']'));
    if let Ok(read) = url::relative(text) {
        assert!(read.uid.0 > 0 && read.uid_validity != Some(0));
        assert_eq!(url::relative(code.as_bytes()), Ok(read));
    }
}

/// A URL to be signed is signed as it stands, and read again with its token.
fn check_rump(text: &[u8]) {
    let Ok(rump) = url_auth::rump(text) else {
        return;
    };
    assert!(*rump.url.rump == *text && !rump.url.owner.is_empty());
    assert!(rump.message.uid.0 > 0 && rump.url.uid_validity != Some(0));
    let token = AccessKey::new([7; KEY_BYTES]).token(text);
    let signed = [text, format!(":internal:{token}").as_bytes()].concat();
    assert_eq!(url_auth::full(&signed), Ok((rump, token)));
}

/// What a signed URL is without its token can be signed.
fn check_full(text: &[u8]) {
    if let Ok((rump, _)) = url_auth::full(text) {
        assert!(text.starts_with(&rump.url.rump));
        check_rump(&rump.url.rump);
    }
    check_rump(text);
}

fn check_flags(flags: Flags) {
    let read = again(
        |out| encode::flags(out, &flags, false),
        "a STORE 1 FLAGS ",
        "",
    );
    let Command::Store {
        flags: read,
        mode: StoreMode::Replace,
        ..
    } = read
    else {
        panic!("not a STORE: {read:?}");
    };
    assert_eq!(read, flags);
}

fn check_date(date: InternalDate) {
    // A zone can carry the first and the last day of four-digit years out of them.
    let read = again(
        |out| encode::internal_date(out, date),
        "a APPEND b ",
        " {1}",
    );
    let Command::Append { parts, .. } = read else {
        panic!("not an APPEND: {read:?}");
    };
    let read = match parts.first() {
        Some(AppendPart::Message { date, .. }) => *date,
        _ => None,
    };
    assert_eq!(read, Some(date));
}

fn check_item(item: FetchItem) {
    let FetchItem::Section { section, .. } = item else {
        return;
    };
    let read = again(
        |out| render::section_label(out, &section, None),
        "a FETCH 1 ",
        "",
    );
    let Command::Fetch { items, .. } = read else {
        panic!("not a FETCH: {read:?}");
    };
    let expected = FetchItem::Section {
        section,
        peek: false,
        partial: None,
    };
    assert_eq!(items, [expected]);
}
