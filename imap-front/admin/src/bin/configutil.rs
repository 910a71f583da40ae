//! `configutil`: lists, shows and edits configuration options.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use admin::arguments::configutil::Arguments;
use admin::command::{self, DONE, FAILED};
use admin::config::{self, ConfigEdit, ConfigOption};
use admin::{Base, Config};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("configutil", |base| run(base, &arguments))
}

fn run(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let default = base.msg_conf();
    let file = arguments.file.as_deref().unwrap_or(&default);
    if arguments.write_defaults {
        let user = Config::load(base)?.value("service.user").to_owned();
        config::write_defaults(&base.msg_conf_defaults(), &user)?;
        return Ok(DONE);
    }
    if let Some(import) = &arguments.import {
        let edits = config::parse_import(import)?;
        return edit(file, &edits);
    }
    match (&arguments.option, &arguments.value) {
        (Some(name), Some(value)) => edit(file, &[ConfigEdit::Set(name.clone(), value.clone())]),
        (Some(name), None) if arguments.delete => edit(file, &[ConfigEdit::Delete(name.clone())]),
        (Some(name), None) => {
            let Some(option) = config::find(name) else {
                command::complain(format_args!("configutil: {}", config::unknown(name)));
                return Ok(FAILED);
            };
            show_one(&Config::load_from(base, file)?, name, option, arguments)
        }
        (None, _) => list(base, &Config::load_from(base, file)?, arguments),
    }
}

fn edit(file: &Path, edits: &[ConfigEdit]) -> Result<u8, Box<dyn Error>> {
    config::apply(file, edits)?;
    writeln!(io::stdout(), "OK SET")?;
    Ok(DONE)
}

fn show_one(
    config: &Config,
    name: &str,
    option: &ConfigOption,
    arguments: &Arguments,
) -> Result<u8, Box<dyn Error>> {
    if arguments.help_texts || arguments.refreshable {
        show(&mut io::stdout(), config, name, option, arguments)?;
    } else {
        writeln!(io::stdout(), "{}", config.value(name))?;
    }
    Ok(DONE)
}

fn list(base: &Base, config: &Config, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    if arguments.verify {
        return verify(base, config);
    }
    let mut out = io::stdout().lock();
    let mut names: Vec<&str> = config::options().map(|option| option.name).collect();
    names.extend(config.instanced());
    names.sort_unstable();
    for name in names {
        let wanted = arguments
            .pattern
            .as_deref()
            .is_none_or(|it| config::matches(it, name));
        if let Some(option) = config::find(name).filter(|_| wanted) {
            show(&mut out, config, name, option, arguments)?;
        }
    }
    Ok(DONE)
}

/// The files could be read, so all values are good. What remains is whether they make a server
/// that offers IDLE.
fn verify(base: &Base, config: &Config) -> Result<u8, Box<dyn Error>> {
    let mut out = io::stdout();
    writeln!(out, "OK")?;
    out.flush()?;
    let imapd = base.program(admin::service::IMAP.program);
    if imapd.exists() {
        // It knows whether the plug-in can be loaded, and what a running server has in force. What
        // it ends with is for others: the files are in order.
        Command::new(imapd).arg("--check").status()?;
        return Ok(DONE);
    }
    let conditions = admin::idle::conditions(config, admin::idle::Facts::looked_up(config));
    for condition in &conditions {
        writeln!(out, "{condition}")?;
    }
    let met = conditions.iter().all(|condition| condition.met);
    writeln!(
        out,
        "IDLE is {}",
        if met { "offered" } else { "not offered" }
    )?;
    Ok(DONE)
}

fn show(
    out: &mut impl Write,
    config: &Config,
    name: &str,
    option: &ConfigOption,
    arguments: &Arguments,
) -> io::Result<()> {
    let name = name.to_ascii_lowercase();
    write!(out, "{name} = {}", config::quoted(config.value(&name)))?;
    if arguments.refreshable {
        let refreshable = if option.refreshable {
            "REFRESHABLE"
        } else {
            "NOT REFRESHABLE"
        };
        write!(out, " [{refreshable}]")?;
    }
    writeln!(out)?;
    if arguments.help_texts {
        writeln!(out, "    {}", option.help)?;
        let default = config::quoted(option.default);
        writeln!(
            out,
            "    default {default}; takes {}",
            option.kind.expected()
        )?;
    }
    Ok(())
}
