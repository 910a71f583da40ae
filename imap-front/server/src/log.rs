//! The log file, and how much is written to it.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Mutex;

use admin::Config;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
#[error("can't write the log file {}: {cause}; set logfile.imap.file to a path that can be \
         written", path.display())]
pub struct LogError {
    path: PathBuf,
    cause: std::io::Error,
}

/// The log of this process, whose level may change.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Opens `logfile.imap.file`, or standard error if there is none, and logs from now on.
    ///
    /// # Errors
    /// If the file can't be opened.
    pub fn start(config: &Config) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(filter(config));
        let layer = fmt::layer().with_ansi(false);
        let registry = tracing_subscriber::registry().with(filter);
        // Fails only if this process logs already.
        let _ = match config.path("logfile.imap.file") {
            Some(path) => {
                let file = open(&path).map_err(|cause| LogError { path, cause })?;
                registry
                    .with(layer.with_writer(Mutex::new(file)))
                    .try_init()
            }
            None => registry.with(layer.with_writer(std::io::stderr)).try_init(),
        };
        Ok(Self { filter: handle })
    }

    /// Takes the level from the configuration again.
    pub fn refresh(&self, config: &Config) {
        // Fails only if the log is gone, and with it this process.
        let _ = self.filter.reload(filter(config));
    }
}

fn open(path: &PathBuf) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// What is logged: by `RUST_LOG` if it is set, else by `logfile.imap.loglevel`; and of the event
/// notification service what its own variables ask for.
fn filter(config: &Config) -> EnvFilter {
    let variable = |name: &str| std::env::var(name).ok();
    let base = variable("RUST_LOG").unwrap_or_else(|| {
        match &*config.word("logfile.imap.loglevel") {
            "nolog" => "off",
            "critical" | "error" => "error",
            "warning" => "warn",
            "notice" => "info,fjall=warn,lsm_tree=warn",
            "information" => "info",
            _ => "debug",
        }
        .to_owned()
    });
    EnvFilter::new(ens::trace::filter(&base, variable))
}
