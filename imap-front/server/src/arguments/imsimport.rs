//! The command line of `imsimport`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Imports mail: from Maildirs, from mbox files, from another IMAP server; several users at a time,
/// while the server runs or not.
///
/// A mailbox that is not there, or never had a message, gets the UIDVALIDITY and the UIDs that it
/// has there, if these are known, and all of its messages at once. To one that is there messages
/// are added that it lacks. So it can be run again, and takes only what is new: a message is there
/// if one has the same bytes; from another server, the same Message-ID and size. Flags of what is
/// there stay as they are. Quotas refuse nothing.
#[derive(Parser)]
#[command(name = "imsimport", version, after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// From where.
    #[command(subcommand)]
    pub from: From,
    /// Users at a time, 6 at most.
    #[arg(
        short = 'j',
        long,
        default_value_t = 4,
        global = true,
        value_name = "N"
    )]
    pub at_once: usize,
    /// A line of JSON for each mailbox, and one for all.
    #[arg(long, global = true)]
    pub json: bool,
}

/// From where.
#[derive(Subcommand)]
pub enum From {
    /// From a Maildir, as Dovecot keeps it: with dovecot-uidlist, dovecot-keywords, subscriptions.
    Maildir(FromMaildir),
    /// From mbox files; lines ">From " are unquoted (mboxrd).
    Mbox(FromMbox),
    /// From another IMAP server.
    Imap(FromImap),
}

/// From a Maildir.
#[derive(Args)]
pub struct FromMaildir {
    /// The Maildir; %u is the user's name, %n its part before the @, %d the one behind it.
    pub path: String,
    /// The user whose it is; without it all users of config/users who have one there.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// How folders lie in it.
    #[arg(long, value_enum, default_value_t = LayoutName::Auto)]
    pub layout: LayoutName,
}

/// How folders lie in a Maildir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// As it looks.
    Auto,
    /// .Work.2026
    Maildirpp,
    /// Work/2026
    Fs,
}

/// From mbox files.
#[derive(Args)]
pub struct FromMbox {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The user whose they are.
    #[arg(short, long, value_name = "NAME")]
    pub user: String,
    /// The mailbox; without it each has the name of its file.
    #[arg(short, long, value_name = "FOLDER")]
    pub mailbox: Option<String>,
}

/// From another IMAP server.
#[derive(Args)]
pub struct FromImap {
    /// The server.
    pub host: String,
    /// Its port; 993, or 143 if TLS does not come first.
    #[arg(long)]
    pub port: Option<u16>,
    /// Whether, and how, the connection is encrypted.
    #[arg(long, value_enum, default_value_t = Tls::Imaps)]
    pub tls: Tls,
    /// Certificate authorities to trust instead of the system's, as PEM.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Who may log in there as anybody. Without --list, all users of config/users are meant.
    #[arg(long, value_name = "NAME")]
    pub master: Option<String>,
    /// A file whose first line is that one's password.
    #[arg(long, value_name = "FILE", requires = "master")]
    pub master_password: Option<PathBuf>,
    /// How that one logs in.
    #[arg(long, value_enum, default_value_t = MasterStyle::Authzid)]
    pub master_style: MasterStyle,
    /// A file with a line for each user: the name here, the name there (may be empty), the password
    /// there (not needed with --master); tabs between them.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// From the beginning.
    Imaps,
    /// By STARTTLS.
    Starttls,
    /// Not at all.
    None,
}

/// How somebody logs in as somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MasterStyle {
    /// By SASL PLAIN, with the user as authorization identity.
    Authzid,
    /// As user*master.
    Star,
}
