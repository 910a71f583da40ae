//! `mboxutil`: mailboxes, of one user and of all.

use std::error::Error;
use std::io::{self, Write};

use clap::{ArgGroup, Parser};
use serde_json::{Value, json};

use super::ask::{AskError, Asker};
use super::{EXIT_CODES, printable, shown, verdict};
use crate::command::{self, DONE, FAILED};
use crate::{Base, users};

/// Lists, creates, renames and deletes mailboxes through the running server: its sessions see it at
/// once.
///
/// Mailboxes are named user/NAME/FOLDER; user/NAME is the INBOX. Users themselves are msguser's.
#[derive(Parser)]
#[command(name = "mboxutil", version, after_help = EXIT_CODES)]
#[command(group(ArgGroup::new("what").required(true)
    .args(["list", "create", "delete", "rename", "delete_all"])))]
pub struct Arguments {
    /// List mailboxes, with messages, unseen ones, bytes, UIDNEXT and UIDVALIDITY.
    #[arg(short, long)]
    list: bool,
    /// Only those of this user; without it of all users.
    #[arg(short, long, conflicts_with_all = ["create", "delete", "rename", "delete_all"])]
    user: Option<String>,
    /// Only folders of that pattern, as LIST has it: * is any text, % any text without a slash.
    #[arg(short, long, conflicts_with_all = ["create", "delete", "rename", "delete_all"])]
    pattern: Option<String>,
    /// Create mailboxes, and what is missing above them.
    #[arg(short, long, value_name = "MAILBOX", num_args = 1..)]
    create: Vec<String>,
    /// Delete mailboxes with their messages.
    #[arg(short, long, value_name = "MAILBOX", num_args = 1..)]
    delete: Vec<String>,
    /// Rename a mailbox, and those below it.
    #[arg(short, long, value_names = ["OLD", "NEW"], num_args = 2)]
    rename: Vec<String>,
    /// Delete all mailboxes and messages of a user. The INBOX stays, and is empty.
    #[arg(long, value_name = "NAME")]
    delete_all: Option<String>,
    /// A line of JSON for each mailbox.
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// If the server can't be asked, or refuses.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let mut asker = Asker::of(base)?;
    if let [old, new] = &arguments.rename[..] {
        let ((user, from), (other, to)) = (parts(old)?, parts(new)?);
        if user != other {
            return Err("a mailbox can't become another user's".into());
        }
        let question = json!({ "ask": "rename", "user": user, "from": from, "to": to });
        asker.ask(&question, |_| Ok(()))?;
    }
    for (names, ask) in [(&arguments.create, "create"), (&arguments.delete, "delete")] {
        for name in names {
            let (user, mailbox) = parts(name)?;
            let question = json!({ "ask": ask, "user": user, "mailbox": mailbox });
            // What was done before stays done.
            let done = asker.ask(&question, |_| Ok(()));
            done.map_err(|error| format!("{}: {error}", printable(name)))?;
        }
    }
    if let Some(user) = &arguments.delete_all {
        asker.ask(&json!({ "ask": "empty", "user": user }), |_| Ok(()))?;
    }
    if arguments.list {
        return list(base, arguments, &mut asker, out);
    }
    Ok(DONE)
}

fn list(
    base: &Base,
    arguments: &Arguments,
    asker: &mut Asker,
    out: &mut dyn Write,
) -> Result<u8, Box<dyn Error>> {
    let mut names = vec![];
    match &arguments.user {
        Some(user) => names.push(user.clone()),
        None => users::list(&base.users(), |name, _, _| {
            names.push(name.to_owned());
            Ok(())
        })?,
    }
    if !arguments.json {
        writeln!(
            out,
            "{:>9} {:>9} {:>14} {:>9} {:>11}  MAILBOX",
            "MESSAGES", "UNSEEN", "BYTES", "UIDNEXT", "UIDVALIDITY"
        )?;
    }
    let (mut count, mut code) = (0, DONE);
    for user in names {
        let question = json!({ "ask": "mailboxes", "user": user, "pattern": arguments.pattern });
        let asked = asker.ask(&question, |line| told(out, &user, line, arguments.json));
        match asked {
            Ok(more) => count += more,
            // One user's trouble is not all users'.
            Err(AskError::Refused(why)) if arguments.user.is_none() => {
                command::complain(format_args!("mboxutil: {user}: {why}"));
                code = FAILED;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if code == DONE && arguments.pattern.is_some() {
        code = verdict(count, "mboxutil: no mailbox has such a name");
    }
    Ok(code)
}

fn told(out: &mut dyn Write, user: &str, line: &Value, as_json: bool) -> io::Result<()> {
    let folder = line["mailbox"].as_str().unwrap_or_default();
    let name = match folder {
        "INBOX" => format!("user/{user}"),
        folder => format!("user/{user}/{folder}"),
    };
    if as_json {
        let mut line = line.clone();
        line["user"] = user.into();
        line["name"] = name.into();
        return writeln!(out, "{line}");
    }
    let of = |name: &str| shown(line, name);
    writeln!(
        out,
        "{:>9} {:>9} {:>14} {:>9} {:>11}  {}",
        of("messages"),
        of("unseen"),
        of("bytes"),
        of("uidnext"),
        of("uidvalidity"),
        printable(&name),
    )
}

/// User and folder of `user/NAME/FOLDER`; without a folder it is the INBOX.
fn parts(name: &str) -> Result<(&str, &str), String> {
    let wrong = || format!("{name:?} is no mailbox: it must be user/NAME or user/NAME/FOLDER");
    let rest = name.strip_prefix("user/").ok_or_else(wrong)?;
    let (user, folder) = rest.split_once('/').unwrap_or((rest, "INBOX"));
    if user.is_empty() || folder.is_empty() {
        return Err(wrong());
    }
    Ok((user, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_have_users() {
        assert_eq!(parts("user/fred"), Ok(("fred", "INBOX")));
        assert_eq!(parts("user/fred@x/A/B"), Ok(("fred@x", "A/B")));
        for wrong in ["fred", "user/", "user//A", "user/fred/", "users/fred"] {
            assert!(
                parts(wrong).unwrap_err().contains("is no mailbox"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn one_thing_at_a_time() {
        let parse = |words: &str| Arguments::try_parse_from(words.split(' ')).is_ok();
        assert!(parse("mboxutil -l -u fred -p Work/*"));
        assert!(parse("mboxutil -c user/fred/A user/fred/B"));
        assert!(parse("mboxutil -r user/fred/A user/fred/B"));
        assert!(!parse("mboxutil"));
        assert!(!parse("mboxutil -c user/fred/A -d user/fred/B"));
        assert!(!parse("mboxutil -c user/fred/A -u fred"));
        assert!(!parse("mboxutil -r user/fred/A"));
    }
}
