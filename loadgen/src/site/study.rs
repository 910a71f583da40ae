//! `loadgen brokers --hosts 3`: what a site costs.

use std::io;
use std::path::{Path, PathBuf};

use super::findings::{Found, Sizes};
use super::hosts::{Alone, Hosts, Programs};
use super::{beside, measures, report};

/// What brokers may hold for all clients together.
const OPTIONS: &str = "--max-pending 67108864 --max-all-subscriptions 1100000 \
                       --max-all-subscription-bytes 1073741824 --max-connections 15000";

/// Where all is, and how much of it.
pub struct Study {
    /// Hosts.
    pub hosts: usize,
    /// How much.
    pub sizes: Sizes,
    /// The broker; by default the one beside this program.
    pub enpd: Option<PathBuf>,
    /// The NATS server.
    pub nats: PathBuf,
    /// A broker to compare one without a site with.
    pub before: Option<PathBuf>,
}

impl Study {
    /// Measures all; prints and writes it. Bars that are missed are findings.
    ///
    /// # Errors
    /// If a program doesn't start, or events are lost where none may be.
    pub fn run(&self, out: Option<&Path>) -> io::Result<()> {
        let enpd = self.enpd.clone().map_or_else(|| beside("enpd"), Ok)?;
        let mut found = Found::default();
        let (folder, sizes) = (tempfile::tempdir()?, &self.sizes);
        let programs = Programs {
            enpd: enpd.clone(),
            nats: self.nats.clone(),
        };
        let options: Vec<String> = OPTIONS.split_whitespace().map(str::to_owned).collect();
        let hosts = Hosts::new(self.hosts, programs, folder.path(), None, &options)?;
        let mut hosts = hosts.with_own_servers();
        hosts.start_all()?;
        eprintln!("from host to host ...");
        measures::latency(&hosts, sizes, &mut found)?;
        eprintln!("crowds ...");
        measures::crowds(&hosts, sizes, &mut found)?;
        eprintln!("a flood ...");
        measures::flood(&hosts, sizes, &mut found)?;
        eprintln!("subscriptions ...");
        measures::subscriptions(&hosts, sizes, &mut found)?;
        eprintln!("servers are killed ...");
        measures::heal(&mut hosts, &mut found)?;
        drop(hosts);
        if let Some(before) = &self.before {
            eprintln!("without a site ...");
            let [now, before] = [&enpd, before].map(|enpd| Alone::start(enpd, &options));
            measures::alone(&now?, &before?, sizes, &mut found)?;
        }
        println!("{}", report::table(&found));
        if let Some(folder) = out {
            report::write(folder, sizes, &found)?;
            println!("written to {}", folder.display());
        }
        Ok(())
    }
}
