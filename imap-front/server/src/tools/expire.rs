//! `imexpire`: messages that are old, or large, go, by rules.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use admin::Base;
use admin::command::{DONE, FAILED, complain};
use archive::backup::record::Record;
use mail::MailboxName;
use mail::list::{self, joined};
use serde_json::{Value, json};

use super::{Connection, Told, meant, report};
use crate::arguments::imexpire::Arguments;

const DAY_S: i64 = 24 * 3600;

/// Removes what the rules say.
///
/// # Errors
/// If the rules make no sense, or the store can't be read.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    // Beside the list of users.
    let usual = || base.users().with_file_name("expire");
    let path = arguments.rules.clone().unwrap_or_else(usual);
    let rules = read_rules(&path)?;
    // Who is misspelt would keep all they have, and nobody would know.
    let mut unknown = BTreeSet::new();
    let mut account = |name: &String| {
        let (account, is_user) = meant(base, name)?;
        if !is_user {
            unknown.insert(account.clone());
        }
        Ok::<_, Box<dyn Error>>(account)
    };
    let only = arguments.user.as_ref().map(&mut account).transpose()?;
    let mut rules_of = Vec::with_capacity(rules.len());
    for rule in rules {
        let whose = rule.user.as_ref().map(&mut account).transpose()?;
        rules_of.push((rule, whose));
    }
    let mut expiry = Expiry {
        connection: Connection::open(base)?,
        arguments,
        out,
        now_s: now_s(),
        sums: Sums::default(),
    };
    expiry
        .connection
        .ask_line(&json!({ "ask": "freeze" }), &[])?;
    let mut after = 0;
    while let Some((number, account)) = expiry.user(after, only.as_deref(), &rules_of)? {
        after = number;
        unknown.remove(&account);
    }
    for account in unknown {
        expiry.sums.failed += 1;
        complain(format_args!("imexpire: the store has no mail of {account}"));
    }
    expiry.finish()
}

/// A rule: a line of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    /// As LIST has it.
    pattern: String,
    user: Option<String>,
    older_days: Option<u32>,
    larger: Option<u64>,
    flag: Option<String>,
    takes_flagged: bool,
}

fn read_rules(path: &Path) -> Result<Vec<Rule>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rules = vec![];
    for (number, line) in (1..).zip(text.lines()) {
        let rule = rule(line).map_err(|why| format!("{}:{number}: {why}", path.display()))?;
        rules.extend(rule);
    }
    match rules.is_empty() {
        true => Err(format!("{} has no rule", path.display()).into()),
        false => Ok(rules),
    }
}

/// The rule of a line; none if it is empty or a comment.
fn rule(line: &str) -> Result<Option<Rule>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (pattern, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted
            .split_once('"')
            .ok_or("the second quote is missing")?,
        None => line.split_once(char::is_whitespace).unwrap_or((line, "")),
    };
    let mut rule = Rule {
        pattern: pattern.to_owned(),
        ..Rule::default()
    };
    for word in rest.split_whitespace() {
        let wrong = || format!("{word:?} makes no sense");
        match word.split_once('=') {
            Some(("older", days)) => {
                let days = days.strip_suffix('d').unwrap_or(days);
                rule.older_days = Some(days.parse().map_err(|_| wrong())?);
            }
            Some(("larger", size)) => rule.larger = Some(bytes(size).ok_or_else(wrong)?),
            Some(("flag", flag)) if !flag.is_empty() => rule.flag = Some(flag.to_owned()),
            Some(("user", user)) if !user.is_empty() => rule.user = Some(user.to_owned()),
            None if word == "flagged-too" => rule.takes_flagged = true,
            _ => return Err(wrong()),
        }
    }
    if rule.older_days.is_none() && rule.larger.is_none() {
        return Err("older=DAYS or larger=BYTES is missing: all messages would go".into());
    }
    Ok(Some(rule))
}

/// Whether a pattern of LIST matches a name, and not only one above it.
fn matches(pattern: &str, name: &str) -> bool {
    joined("", pattern).is_some_and(|it| list::matches(&it, MailboxName::new(name).as_str()))
}

/// `10M` and the like.
fn bytes(text: &str) -> Option<u64> {
    let (number, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_shl(shift)
}

#[derive(Default)]
struct Sums {
    count: u64,
    bytes: u64,
    by_date: u64,
    failed: u64,
}

struct Expiry<'a> {
    connection: Connection,
    arguments: &'a Arguments,
    out: &'a mut dyn Write,
    now_s: i64,
    sums: Sums,
}

impl Expiry<'_> {
    /// Looks at the next user. Gives their number and account.
    fn user(
        &mut self,
        after: u64,
        only: Option<&str>,
        rules: &[(Rule, Option<String>)],
    ) -> Result<Option<(u64, String)>, Box<dyn Error>> {
        let (mut user, mut mailboxes) = (None, vec![]);
        let question = json!({ "ask": "frozen-user", "after": after });
        self.connection.ask(&question, &[], |told| {
            match told {
                Told::Record(Record::User(found)) => user = Some(found),
                Told::Record(Record::Name(name)) => {
                    mailboxes.extend(name.mailbox.map(|it| (name.name, it.id)));
                }
                _ => {}
            }
            Ok(())
        })?;
        let Some(user) = user else {
            return Ok(None);
        };
        if only.is_some_and(|only| only != user.account) {
            return Ok(Some((user.number, user.account)));
        }
        for (name, id) in mailboxes {
            for (rule, whose) in rules {
                let is_theirs = whose.as_ref().is_none_or(|whose| *whose == user.account);
                if is_theirs && matches(&rule.pattern, &name) {
                    self.mailbox(&user.account, &name, id, rule)?;
                }
            }
        }
        Ok(Some((user.number, user.account)))
    }

    fn mailbox(
        &mut self,
        account: &str,
        name: &str,
        id: u64,
        rule: &Rule,
    ) -> Result<(), Box<dyn Error>> {
        let before = rule
            .older_days
            .map(|days| self.now_s - i64::from(days) * DAY_S);
        let question = json!({
            "ask": "expire",
            "account": account,
            "name": name,
            "mailbox": id,
            "before": before,
            "larger": rule.larger,
            "flag": rule.flag,
            "flagged": rule.takes_flagged,
            "trial": self.arguments.dry_run,
        });
        let line = match self.connection.ask_line(&question, &[]) {
            Ok(line) => line,
            Err(admin::tools::ask::AskError::Refused(why)) => {
                self.sums.failed += 1;
                complain(format_args!("imexpire: {account}, {name}: {why}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        let count = number("count");
        self.sums.count += count;
        self.sums.bytes += number("messagebytes");
        self.sums.by_date += number("bydate");
        if count > 0 {
            self.tell(account, name, &line)?;
        }
        Ok(())
    }

    fn tell(&mut self, account: &str, name: &str, line: &Value) -> std::io::Result<()> {
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        if self.arguments.json {
            let line = json!({
                "account": account,
                "mailbox": name,
                "messages": number("count"),
                "messagebytes": number("messagebytes"),
                "bydate": number("bydate"),
            });
            return writeln!(self.out, "{line}");
        }
        writeln!(
            self.out,
            "{account}, {name}: {} of {}",
            report::count(number("count"), "message"),
            report::bytes(number("messagebytes"))
        )
    }

    fn finish(self) -> Result<u8, Box<dyn Error>> {
        let Sums {
            count,
            bytes,
            by_date,
            failed,
        } = self.sums;
        if self.arguments.json {
            let line = json!({
                "messages": count,
                "messagebytes": bytes,
                "bydate": by_date,
                "failed": failed,
            });
            writeln!(self.out, "{line}")?;
        } else {
            let (count, bytes) = (report::count(count, "message"), report::bytes(bytes));
            let did = if self.arguments.dry_run {
                "would be removed"
            } else {
                "removed"
            };
            write!(self.out, "{count} of {bytes} {did}")?;
            if by_date > 0 {
                write!(
                    self.out,
                    "; of {by_date} it is not known when they came into their \
                                  mailbox: they are as old as their internal date"
                )?;
            }
            writeln!(self.out)?;
        }
        Ok(if failed == 0 { DONE } else { FAILED })
    }
}

#[expect(clippy::disallowed_methods, reason = "ages are counted from now")]
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let read = |line: &str| rule(line).map(Option::unwrap_or_default);
        let trash = Rule {
            pattern: "Trash".into(),
            older_days: Some(30),
            ..Rule::default()
        };
        assert_eq!(read("Trash older=30d"), Ok(trash));
        let odd = Rule {
            pattern: "My mail/*".into(),
            user: Some("ann".into()),
            larger: Some(10 << 20),
            flag: Some("\\Seen".into()),
            takes_flagged: true,
            ..Rule::default()
        };
        let line = "\"My mail/*\" larger=10M flag=\\Seen user=ann flagged-too";
        assert_eq!(read(line), Ok(odd));
        assert_eq!(rule("# nothing"), Ok(None));
        assert!(matches("My mail/*", "My mail/a/b") && !matches("A%", "A/b"));
        for wrong in [
            "Trash",
            "Trash older=x",
            "Trash older=1 what",
            "\"A older=1",
            "A flag=\\Seen",
        ] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }
}
