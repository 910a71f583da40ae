//! How far a phase has come: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::now_ns;

/// Between two lines.
const EVERY_NS: u64 = 10_000_000_000;

/// The progress of one phase.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    what: &'static str,
    total: u64,
    began_ns: u64,
    said_ns: u64,
}

impl Progress {
    /// Of `total` things, named by `what`.
    pub fn new(what: &'static str, total: usize, terminal: bool) -> Self {
        let bar = if terminal {
            let template = "{msg:>12} {bar:40} {pos}/{len} {per_sec} {eta}";
            let style = ProgressStyle::with_template(template);
            let bar = ProgressBar::new(total as u64).with_message(what);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            terminal,
            what,
            total: total as u64,
            began_ns: now_ns(),
            said_ns: now_ns(),
        }
    }

    /// So many are done; `note` says more, if a line is due.
    pub fn at(&mut self, done: usize, note: impl FnOnce() -> String) {
        self.bar.set_position(done as u64);
        let now = now_ns();
        if self.terminal || now - self.said_ns < EVERY_NS {
            return;
        }
        self.said_ns = now;
        let seconds = (now - self.began_ns) as f64 / 1e9;
        eprintln!(
            "{}: {done} of {}, {:.0} s, {:.0} /s{}",
            self.what,
            self.total,
            seconds,
            done as f64 / seconds,
            note()
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
