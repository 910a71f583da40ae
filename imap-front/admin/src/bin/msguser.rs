//! `msguser`: adds, imports, lists, changes and deletes users.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use admin::command::{self, DONE};
use admin::config::ConfigError;
use admin::password::Scheme;
use admin::users::{self, Format, Hashing, Limit, NewPassword, Quota};
use admin::{Base, Config};
use clap::{Args, Parser, Subcommand, ValueEnum};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Manages the users of this base directory (config/users). A running server takes changes at
/// once.
#[derive(Parser)]
#[command(name = "msguser", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add a user; the password is asked for.
    Add {
        /// The name: `user`, or `user@domain` for a user of that domain only.
        name: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Bytes of mail the user may have; -1 for no limit. Without it the server's default.
        #[arg(long, value_parser = limit, allow_hyphen_values = true)]
        quota: Option<Limit>,
        /// Messages the user may have; -1 for no limit. Without it the server's default.
        #[arg(long, value_parser = limit, allow_hyphen_values = true)]
        messages: Option<Limit>,
        #[command(flatten)]
        verifier: Verifier,
    },
    /// Add all users of a file, or none: lines `name:{SCHEME}hash[:bytes[:messages]]`, or
    /// name:password.
    ///
    /// Schemes are {ARGON2ID}, {ARGON2I}, {BLF-CRYPT}, {YESCRYPT}, {SCRAM-SHA-256},
    /// {SHA512-CRYPT}, {SHA256-CRYPT}, {SSHA512} and {SSHA256}. Whoever has another is named with
    /// the line.
    Import {
        /// The file.
        file: PathBuf,
        /// Who wrote the file: Ensign, Dovecot (a passwd-file) or the system (/etc/shadow, of
        /// which accounts without a password are left out).
        #[arg(long, value_enum, default_value_t = From::Ensign)]
        from: From,
        /// How to hash passwords that the file has in clear. ssha256 takes no time, neither here
        /// nor for who guesses passwords: for tests.
        #[arg(long, value_enum, default_value_t = NewScheme::Argon2id)]
        scheme: NewScheme,
        #[command(flatten)]
        verifier: Verifier,
    },
    /// List the users.
    List {
        /// Show their quotas too, and who is locked.
        #[arg(short, long)]
        long: bool,
    },
    /// Delete a user; a running server ends the user's sessions at once.
    ///
    /// The mail stays in the store, set aside: nobody can read it, and a user who is added under
    /// the same name later begins with an empty INBOX. To give the mail back, keep the user's line
    /// of config/users, and import it again: its last part ties it to the mail. (An entry without
    /// that part, written by hand, is tied to its name only.)
    Delete {
        /// The name.
        name: String,
    },
    /// Lock a user: nobody can log in as it, and a running server ends its sessions at once. Mail
    /// is delivered as before.
    Lock {
        /// The name.
        name: String,
    },
    /// Unlock a user.
    Unlock {
        /// The name.
        name: String,
    },
    /// Give a user another quota. What is not given becomes the server's default.
    Quota {
        /// The name.
        name: String,
        /// Bytes of mail the user may have; -1 for no limit.
        #[arg(long, value_parser = limit, allow_hyphen_values = true)]
        quota: Option<Limit>,
        /// Messages the user may have; -1 for no limit.
        #[arg(long, value_parser = limit, allow_hyphen_values = true)]
        messages: Option<Limit>,
    },
    /// Give a user another name. The mail stays the user's; mail to the old name is not taken any
    /// more, and a running server ends the user's sessions.
    Rename {
        /// The name.
        name: String,
        /// The new name.
        new: String,
    },
    /// Give a user another password.
    Passwd {
        /// The name.
        name: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        verifier: Verifier,
    },
}

#[derive(Args, Clone, Copy)]
struct Verifier {
    /// Whether a password hashed by {ARGON2ID} gets a verifier for SCRAM-SHA-256 beside it. Without
    /// it a client can't log in by SCRAM, and the server checks the password more slowly. With it
    /// whoever steals config/users can guess passwords much faster: a guess costs 10,000 rounds of
    /// SHA-256 and no memory, where {ARGON2ID} takes 19 MiB and some ten times as long. Without
    /// this option one is made unless service.imap.scram is no.
    #[arg(long, value_enum)]
    verifier: Option<YesNo>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

impl Verifier {
    fn is_wanted(self, base: &Base) -> Result<bool, ConfigError> {
        match self.verifier {
            Some(wanted) => Ok(wanted == YesNo::Yes),
            None => Ok(Config::load(base)?.word("service.imap.scram") != "no"),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum NewScheme {
    Argon2id,
    ScramSha256,
    Ssha256,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    Ensign,
    Dovecot,
    Shadow,
}

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

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "-1" => Ok(Limit::None),
        _ => admin::config::bytes(text)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| *number > 0)
            .map(Limit::Most)
            .ok_or("a whole number, such as 500000 or 10M, or -1 for no limit".into()),
    }
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
