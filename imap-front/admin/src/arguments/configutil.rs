//! The command line of `configutil`.

use std::path::PathBuf;

use clap::Parser;

/// Lists, shows and edits configuration options. Without arguments it lists all of them.
///
/// Exit codes: 0 done, 1 no such option or bad value (nothing was written), 2 usage.
#[derive(Parser)]
#[command(name = "configutil", version, disable_version_flag = true)]
pub struct Arguments {
    /// Show this option's value; with -v set it, with -d delete it.
    #[arg(short = 'o', value_name = "OPTION")]
    pub option: Option<String>,
    /// The new value; "" clears it.
    #[arg(short = 'v', requires = "option", allow_hyphen_values = true)]
    pub value: Option<String>,
    /// Delete the option's line, so that its default holds.
    #[arg(short = 'd', requires = "option", conflicts_with = "value")]
    pub delete: bool,
    /// List the options whose names contain PATTERN; * and ? stand for any text and character.
    #[arg(short = 'p', conflicts_with_all = ["option", "import"])]
    pub pattern: Option<String>,
    /// Show each option's help and default too.
    #[arg(short = 'H')]
    pub help_texts: bool,
    /// Show whether a running server takes a new value at `refresh`.
    #[arg(short = 'm')]
    pub refreshable: bool,
    /// Set all the option=value lines of FILE, or none.
    #[arg(short = 'i', value_name = "FILE", conflicts_with = "option")]
    pub import: Option<PathBuf>,
    /// Check the configuration files.
    #[arg(short = 'V', conflicts_with_all = ["option", "import", "pattern"])]
    pub verify: bool,
    /// Print the version.
    #[arg(long, action = clap::ArgAction::Version)]
    pub version: (),
    /// Use this file in the place of config/msg.conf.
    #[arg(short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write config/msg.conf.defaults, as an installation does.
    #[arg(long, hide = true, exclusive = true)]
    pub write_defaults: bool,
}
