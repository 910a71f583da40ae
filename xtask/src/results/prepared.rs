//! Runs of `loadgen idle` against one prepared store, each after a fresh start, and what they
//! found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::kernel::Tuned;
use super::relative;
use super::server::{self, People};
use crate::base::Base;
use crate::{install, shell};

/// What a run of the load generator found: measures, values, units.
pub(super) struct Figures(pub(super) Vec<(String, f64, String)>);

impl Figures {
    /// Reads the `figures.csv` of a run's folder. Memory that is less than nothing is left out:
    /// others gave back more meanwhile than was taken, so nothing is known of it.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("figures.csv");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not as expected", file.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let figures = text.lines().skip(1).map(figure);
        let all: Vec<_> = figures.collect::<Option<_>>()?;
        Some(Self(all.into_iter().filter(is_known).collect()))
    }

    /// The runs of a table `curve,over,x,measure,value,unit`: their curve, x and figures.
    pub(super) fn points(text: &str) -> Option<Vec<(String, usize, Self)>> {
        let mut all: Vec<(String, usize, Self)> = Vec::new();
        for line in text.lines().skip(1) {
            let mut cells = line.splitn(4, ',');
            let (curve, _, x) = (cells.next()?, cells.next()?, cells.next()?.parse().ok()?);
            let figure = figure(cells.next()?)?;
            if all.last().is_none_or(|last| last.0 != curve || last.1 != x) {
                all.push((curve.into(), x, Self(Vec::new())));
            }
            if is_known(&figure) {
                all.last_mut()?.2.0.push(figure);
            }
        }
        Some(all)
    }

    /// A measure as people read it, if it was measured.
    pub(super) fn shown(&self, measure: &str) -> Option<String> {
        let (_, value, unit) = self.0.iter().find(|(name, ..)| name == measure)?;
        Some(format!("{} {unit}", thousands(*value)).trim_end().into())
    }

    /// A measure's unit, if it was measured.
    pub(super) fn unit(&self, measure: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, ..)| name == measure)?;
        Some(&found.2)
    }

    /// A measure's value, if it was measured.
    pub(super) fn get(&self, measure: &str) -> Option<f64> {
        let found = self.0.iter().find(|(name, ..)| name == measure)?;
        Some(found.1)
    }
}

/// Reads `measure,value,unit`.
fn figure(line: &str) -> Option<(String, f64, String)> {
    let mut cells = line.split(',');
    let (name, value) = (cells.next()?, cells.next()?.parse().ok()?);
    Some((name.into(), value, cells.next()?.into()))
}

fn is_known((_, value, unit): &(String, f64, String)) -> bool {
    unit != "B" || *value >= 0.0
}

/// At least three digits, with separators.
pub(super) fn thousands(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left % 3 == 0 && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// The store, and the server that is started on it.
pub(super) struct Prepared {
    base: Base,
    _tuned: Tuned,
}

impl Prepared {
    /// A base directory below the target folder with so many users, each with a mailbox.
    pub(super) fn fresh(users: u32) -> Result<Self> {
        Self::with(&People::cheap(users))
    }

    /// The same with such users.
    pub(super) fn with(people: &People) -> Result<Self> {
        let tuned = Tuned::for_connections(people.count);
        Ok(Self {
            base: server::prepared(people)?,
            _tuned: tuned,
        })
    }

    /// Makes a certificate: from the next start on TLS is spoken too. Gives chain and key.
    pub(super) fn certify(&self) -> Result<[PathBuf; 2]> {
        let base = admin::Base::new(self.base.folder());
        install::certify(&base)?;
        Ok(["default.pem", "default.key"].map(|name| base.tls().join(name)))
    }

    /// The load generator for what needs no server.
    pub(super) fn loadgen(&self) -> Command {
        self.base.sbin("loadgen")
    }

    /// Sets an option of the server for the runs to come.
    pub(super) fn set(&self, option: &str, value: &str) -> Result<()> {
        self.base.set(option, value)
    }

    /// Where the store is.
    pub(super) fn data(&self) -> PathBuf {
        admin::Base::new(self.base.folder()).data()
    }

    /// Starts the server and loads it, over TLS if the arguments say so; the load generator's
    /// report goes to `out`.
    pub(super) fn load(&self, arguments: &[&str], out: &Path) -> Result<Figures> {
        let mut ports = self.base.start_anywhere()?;
        if arguments.contains(&"--tls") {
            ports.imap = ports.imaps.context("the server does not speak TLS")?;
        }
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

    #[test]
    fn memory_that_is_less_than_nothing_is_no_figure() {
        let text = "measure,value,unit\nkernel memory,-192770.048,B\nset-up,7,/s\n";
        let figures = Figures::parse(text).unwrap();
        assert_eq!(figures.shown("kernel memory"), None);
        assert_eq!(figures.shown("set-up").as_deref(), Some("7 /s"));
    }

    #[test]
    fn points_are_read() {
        let text = "curve,over,x,measure,value,unit\n\
                    sessions,sessions,10,set-up,7,/s\nsessions,sessions,10,kernel memory,-2,B\n\
                    sessions,sessions,100,set-up,8,/s\nwatchers,w,100,set-up,9,/s\n";
        let points = Figures::points(text).unwrap();
        let found: Vec<_> = points
            .iter()
            .map(|it| (&*it.0, it.1, it.2.0.len()))
            .collect();
        assert_eq!(
            found,
            [
                ("sessions", 10, 1),
                ("sessions", 100, 1),
                ("watchers", 100, 1)
            ]
        );
        assert!(Figures::points("curve\nnonsense\n").is_none());
    }
}
