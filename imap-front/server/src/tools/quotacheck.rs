//! `imquotacheck`: how much of their quotas users have used, and warnings to them.

use std::error::Error;
use std::fs;
use std::io::{self, Write};

use admin::command::{DONE, FAILED, complain};
use admin::tools::ask::AskError;
use admin::{Base, Users};
use archive::backup::record::Record;
use mail::mime::with_crlf;
use serde_json::{Value, json};

use super::{Connection, Told, meant, report};
use crate::arguments::imquotacheck::Arguments;

/// Tells how much users have used.
///
/// # Errors
/// If the store can't be read, or the text of warnings can't.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let read = |path| fs::read(path).map_err(|error| format!("{path:?}: {error}"));
    let warning = arguments.warn.as_ref().map(read).transpose()?;
    let only = arguments.user.as_deref();
    let only = only.map(|name| meant(base, name)).transpose()?;
    let is_user = only.as_ref().is_some_and(|(_, is_user)| *is_user);
    let only = only.map(|(account, _)| account);
    let mut check = Check {
        users: Users::open(base.users())?,
        connection: Connection::open(base)?,
        arguments,
        warning,
        out,
        has_found: is_user,
        failed: 0,
    };
    if check.warning.is_some() && check.connection.is_alone() {
        return Err("warnings need a running server: start-msg imap starts it".into());
    }
    check
        .connection
        .ask_line(&json!({ "ask": "freeze" }), &[])?;
    if !arguments.json {
        writeln!(
            check.out,
            "{:>5} {:>14} {:>14} {:>9} {:>9}  USER",
            "USED", "BYTES", "QUOTA", "MESSAGES", "QUOTA"
        )?;
    }
    let mut after = 0;
    while let Some(number) = check.user(after, only.as_deref())? {
        after = number;
    }
    if let Some(account) = only.filter(|_| !check.has_found) {
        complain(format_args!(
            "imquotacheck: the store has no mail of {account}"
        ));
        return Ok(FAILED);
    }
    Ok(if check.failed == 0 { DONE } else { FAILED })
}

struct Check<'a> {
    users: Users,
    connection: Connection,
    arguments: &'a Arguments,
    warning: Option<Vec<u8>>,
    out: &'a mut dyn Write,
    /// The one user who is meant is known.
    has_found: bool,
    failed: u64,
}

impl Check<'_> {
    /// Looks at the next user. Gives their number.
    fn user(&mut self, after: u64, only: Option<&str>) -> Result<Option<u64>, Box<dyn Error>> {
        let (mut user, mut used) = (None, Value::Null);
        let question = json!({ "ask": "usage", "after": after });
        self.connection.ask(&question, &[], |told| {
            match told {
                Told::Record(Record::User(found)) => user = Some(found),
                Told::Line(line) => used = line.clone(),
                Told::Record(_) => {}
            }
            Ok(())
        })?;
        let Some(user) = user else {
            return Ok(None);
        };
        let percent = percent_of(&used);
        self.has_found |= only.is_some_and(|only| only == user.account);
        let is_meant = only.is_none_or(|only| only == user.account)
            && self
                .arguments
                .over
                .is_none_or(|over| percent.is_some_and(|it| it >= over));
        if is_meant {
            let name = self.users.name_of(&user.account).into_string();
            self.tell(&name, &used, percent)?;
            self.warn(&name, &used, percent)?;
        }
        Ok(Some(user.number))
    }

    fn tell(&mut self, name: &str, used: &Value, percent: Option<u64>) -> io::Result<()> {
        if self.arguments.json {
            let mut line = used.clone();
            line["user"] = name.into();
            line["percent"] = percent.into();
            return writeln!(self.out, "{line}");
        }
        let shown = |name: &str| match used[name].as_u64() {
            Some(number) => number.to_string(),
            None => "-".into(),
        };
        let percent = percent.map_or_else(|| "-".into(), |percent| format!("{percent}%"));
        writeln!(
            self.out,
            "{percent:>5} {:>14} {:>14} {:>9} {:>9}  {name}",
            shown("usedbytes"),
            shown("quotabytes"),
            shown("usedmessages"),
            shown("quotamessages"),
        )
    }

    /// Delivers the warning to a user.
    fn warn(
        &mut self,
        name: &str,
        used: &Value,
        percent: Option<u64>,
    ) -> Result<(), Box<dyn Error>> {
        let (Some(text), Some(percent)) = (&self.warning, percent) else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(text);
        let bytes = |name: &str| report::bytes(used[name].as_u64().unwrap_or(0));
        let text = text
            .replace("%USER%", name)
            .replace("%PERCENT%", &percent.to_string())
            .replace("%USED%", &bytes("usedbytes"))
            .replace("%QUOTA%", &bytes("quotabytes"));
        let message = with_crlf(text.as_bytes());
        let question = json!({ "ask": "deliver", "user": name, "size": message.len() });
        match self.connection.ask_line(&question, &message) {
            Ok(_) => Ok(()),
            Err(AskError::Refused(why)) => {
                self.failed += 1;
                complain(format_args!("imquotacheck: {name} is not warned: {why}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// How much of a quota is used, of that of which more is; none if there is none.
fn percent_of(used: &Value) -> Option<u64> {
    let of = |used_name: &str, quota: &str| {
        let (used, quota) = (used[used_name].as_u64()?, used[quota].as_u64()?);
        Some((used.saturating_mul(100)).checked_div(quota).unwrap_or(100))
    };
    of("usedbytes", "quotabytes").max(of("usedmessages", "quotamessages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_limit_counts() {
        let used = json!({ "usedbytes": 50, "quotabytes": 200, "usedmessages": 9 });
        assert_eq!(percent_of(&used), Some(25));
        let used = json!({
            "usedbytes": 50, "quotabytes": 200, "usedmessages": 9, "quotamessages": 10,
        });
        assert_eq!(percent_of(&used), Some(90));
        assert_eq!(
            percent_of(&json!({ "usedbytes": 5, "quotabytes": null })),
            None
        );
    }
}
