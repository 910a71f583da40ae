//! The command line of `msguser`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::ConfigError;
use crate::users::Limit;
use crate::{Base, Config};

/// Manages the users of this base directory (config/users). A running server takes changes at
/// once.
#[derive(Parser)]
#[command(name = "msguser", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do with users.
#[derive(Subcommand)]
pub enum Verb {
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
        /// Whether there will be a verifier.
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
        /// Whether there will be a verifier.
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
        /// Whether there will be a verifier.
        #[command(flatten)]
        verifier: Verifier,
    },
}

/// The option about verifiers.
#[derive(Args, Clone, Copy)]
pub struct Verifier {
    /// Whether a password hashed by {ARGON2ID} gets a verifier for SCRAM-SHA-256 beside it. Without
    /// it a client can't log in by SCRAM, and the server checks the password more slowly. With it
    /// whoever steals config/users can guess passwords much faster: a guess costs 10,000 rounds of
    /// SHA-256 and no memory, where {ARGON2ID} takes 19 MiB and some ten times as long. Without
    /// this option one is made unless service.imap.scram is no.
    #[arg(long, value_enum)]
    pub verifier: Option<YesNo>,
}

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Make one.
    Yes,
    /// Make none.
    No,
}

impl Verifier {
    /// Whether one is made, by the option or the configuration.
    ///
    /// # Errors
    /// If the configuration can't be read.
    pub fn is_wanted(self, base: &Base) -> Result<bool, ConfigError> {
        match self.verifier {
            Some(wanted) => Ok(wanted == YesNo::Yes),
            None => Ok(Config::load(base)?.word("service.imap.scram") != "no"),
        }
    }
}

/// How passwords in clear are hashed.
#[derive(Clone, Copy, ValueEnum)]
pub enum NewScheme {
    /// Slow for who guesses, in time and memory.
    Argon2id,
    /// A verifier alone: for clients that log in by SCRAM.
    ScramSha256,
    /// Takes no time, neither here nor for who guesses: for tests.
    Ssha256,
}

/// Who wrote a file of users.
#[derive(Clone, Copy, ValueEnum)]
pub enum From {
    /// This program's own form.
    Ensign,
    /// A passwd-file of Dovecot.
    Dovecot,
    /// The system: /etc/shadow.
    Shadow,
}

/// A number of bytes or messages, or none.
fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "-1" => Ok(Limit::None),
        _ => crate::config::bytes(text)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| *number > 0)
            .map(Limit::Most)
            .ok_or("a whole number, such as 500000 or 10M, or -1 for no limit".into()),
    }
}
