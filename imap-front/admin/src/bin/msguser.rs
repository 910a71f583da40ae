//! `msguser`: adds, imports, lists, changes and deletes users.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use admin::Base;
use admin::arguments::msguser::{Arguments, From, NewScheme, Verb};
use admin::command::{self, DONE};
use admin::password::Scheme;
use admin::users::{self, Format, Hashing, Limit, NewPassword, Quota};
use clap::Parser;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("msguser", |base| run(base, &arguments.verb))
}

fn run(base: &Base, verb: &Verb) -> Result<u8, Box<dyn Error>> {
    let path = base.users();
    match verb {
        Verb::Add {
            name,
            password_stdin,
            quota,
            messages,
            verifier,
        } => {
            let verifier = verifier.is_wanted(base)?;
            let password = password(*password_stdin)?;
            let password = password.as_bytes();
            let new = NewPassword { password, verifier };
            let quota = Quota {
                bytes: *quota,
                messages: *messages,
            };
            users::add(&path, name, new, quota)?;
        }
        Verb::Import {
            file,
            from,
            scheme,
            verifier,
        } => {
            let scheme = match scheme {
                NewScheme::Argon2id => Scheme::Argon2id,
                NewScheme::ScramSha256 => Scheme::ScramSha256,
                NewScheme::Ssha256 => Scheme::Ssha256,
            };
            let hashing = Hashing {
                scheme,
                verifier: scheme == Scheme::Argon2id && verifier.is_wanted(base)?,
            };
            let format = match from {
                From::Ensign => Format::Own,
                From::Dovecot => Format::Dovecot,
                From::Shadow => Format::Shadow,
            };
            import(base, file, format, hashing)?;
        }
        Verb::List { long } => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            let mut broken = Ok(());
            users::list(&path, |name, quota, locked| {
                broken = if *long {
                    let (bytes, messages) = (shown(quota.bytes), shown(quota.messages));
                    let lock = if locked { "\tlocked" } else { "" };
                    writeln!(out, "{name}\t{bytes}\t{messages}{lock}")
                } else {
                    writeln!(out, "{name}")
                };
                Ok(())
            })?;
            broken.and_then(|()| out.flush())?;
        }
        Verb::Delete { name } => users::delete(&path, name)?,
        Verb::Lock { name } => users::set_locked(&path, name, true)?,
        Verb::Unlock { name } => users::set_locked(&path, name, false)?,
        Verb::Quota {
            name,
            quota,
            messages,
        } => {
            let quota = Quota {
                bytes: *quota,
                messages: *messages,
            };
            users::set_quota(&path, name, quota)?;
        }
        Verb::Rename { name, new } => users::rename(&path, name, new)?,
        Verb::Passwd {
            name,
            password_stdin,
            verifier,
        } => {
            let verifier = verifier.is_wanted(base)?;
            let password = password(*password_stdin)?;
            let password = password.as_bytes();
            users::set_password(&path, name, NewPassword { password, verifier })?;
        }
    }
    Ok(DONE)
}

/// Adds the users of a file, and says how many there are.
fn import(
    base: &Base,
    file: &Path,
    format: Format,
    hashing: Hashing,
) -> Result<(), Box<dyn Error>> {
    let shown = io::stderr().is_terminal();
    let imported = users::import(&base.users(), file, format, hashing, |ready, of| {
        if shown {
            // Seen or not, the work goes on.
            let _ = write!(io::stderr(), "\r{ready} of {of} users");
        }
    });
    if shown {
        command::complain("");
    }
    let imported = imported?;
    writeln!(io::stdout(), "added {} users", imported.added)?;
    if imported.left_out > 0 {
        let left_out = imported.left_out;
        writeln!(io::stdout(), "left out {left_out} without a password")?;
    }
    Ok(())
}

fn shown(limit: Option<Limit>) -> String {
    match limit {
        None => "default".into(),
        Some(Limit::None) => "unlimited".into(),
        Some(Limit::Most(number)) => number.to_string(),
    }
}

/// The password: the first line of standard input, or typed twice.
fn password(from_stdin: bool) -> Result<Zeroizing<String>, Box<dyn Error>> {
    if from_stdin {
        return Ok(line()?);
    }
    if !io::stdin().is_terminal() {
        return Err("there is no terminal to ask for the password; use --password-stdin".into());
    }
    let first = ask("Password: ")?;
    let second = ask("Once more: ")?;
    if *first != *second {
        return Err("the passwords differ".into());
    }
    Ok(first)
}

fn ask(prompt: &str) -> io::Result<Zeroizing<String>> {
    eprint!("{prompt}");
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
    let typed = line();
    tcsetattr(io::stdin(), OptionalActions::Now, &shown)?;
    command::complain("");
    typed
}

fn line() -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    io::stdin().lock().read_line(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}
