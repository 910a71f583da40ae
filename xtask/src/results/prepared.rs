//! Runs of `loadgen idle` against one prepared store, each after a fresh start, and what they
//! found.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::kernel::Tuned;
use super::{relative, server};
use crate::base::Base;
use crate::shell;

/// What a run of the load generator found: measures, values, units.
pub(super) struct Figures(pub(super) Vec<(String, f64, String)>);

impl Figures {
    /// Reads the `figures.csv` of a run's folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("figures.csv");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not as expected", file.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let figure = |line: &str| {
            let mut cells = line.split(',');
            let (name, value) = (cells.next()?, cells.next()?.parse().ok()?);
            Some((name.into(), value, cells.next()?.into()))
        };
        text.lines()
            .skip(1)
            .map(figure)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// A measure's value, if it was measured.
    pub(super) fn get(&self, measure: &str) -> Option<f64> {
        let found = self.0.iter().find(|(name, ..)| name == measure)?;
        Some(found.1)
    }
}

/// The store, and the server that is started on it.
pub(super) struct Prepared {
    base: Base,
    _tuned: Tuned,
}

impl Prepared {
    /// A base directory below the target folder with so many users, each with a mailbox.
    pub(super) fn fresh(users: u32) -> Result<Self> {
        let tuned = Tuned::for_connections(users);
        Ok(Self {
            base: server::prepared(users)?,
            _tuned: tuned,
        })
    }

    /// Sets an option of the server for the runs to come.
    pub(super) fn set(&self, option: &str, value: &str) -> Result<()> {
        self.base.set(option, value)
    }

    /// Where the store is.
    pub(super) fn data(&self) -> PathBuf {
        admin::Base::new(self.base.folder()).data()
    }

    /// Starts the server and loads it; the load generator's report goes to `out`.
    pub(super) fn load(&self, arguments: &[&str], out: &Path) -> Result<Figures> {
        let ports = self.base.start_anywhere()?;
        let mut load = server::load(&self.base, &ports);
        load.args(arguments).arg("--out").arg(relative(out));
        let status = shell::status(&mut load)?;
        self.base.stop()?;
        match status.code() {
            // Faults are findings.
            Some(0 | 1) => Figures::read(out),
            _ => bail!("loadgen ended with {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn figures_are_read() {
        let text = "measure,value,unit\nset-up,12.5,/s\nfaults,0,\n";
        let figures = Figures::parse(text).unwrap();
        assert_eq!(figures.get("set-up"), Some(12.5));
        assert_eq!(figures.get("faults"), Some(0.0));
        assert!(figures.get("pace").is_none());
        assert!(Figures::parse("measure,value,unit\nset-up,fast,/s\n").is_none());
    }
}
