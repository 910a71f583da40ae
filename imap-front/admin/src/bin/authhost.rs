//! `authhost`: tells proxies on which host a user's mail is.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use admin::Base;
use admin::arguments::authhost::Arguments;
use admin::command::{self, DONE};
use admin::hosts::{Guide, Hosts, serve};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("authhost", |base| run(base, arguments))
}

fn run(base: &Base, arguments: Arguments) -> Result<u8, Box<dyn Error>> {
    let map = arguments.map.unwrap_or_else(|| base.hosts());
    if arguments.dovecot || arguments.postfix.is_some() {
        // Tables that say nothing must not take the place of others by a mistyped name.
        std::fs::metadata(&map).map_err(|cause| format!("{}: {cause}", map.display()))?;
        let hosts = Hosts::read(&map)?;
        let mut out = BufWriter::new(io::stdout().lock());
        match &arguments.postfix {
            Some(domain) => hosts.write_for_postfix(domain, arguments.lmtp_port, &mut out)?,
            None => hosts.write_for_dovecot(&mut out)?,
        }
        out.flush()?;
        return Ok(DONE);
    }
    let here = arguments.here.map(|address| (base.users(), address));
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).map_err(|cause| format!("{listen}: {cause}"))?;
    let guide = Guide::new(map, here, arguments.port, arguments.way)?;
    command::say(format_args!(
        "authhost listening on {}",
        listener.local_addr()?
    ));
    serve(listener, guide)?;
    Ok(DONE)
}
