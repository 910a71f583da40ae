//! The log: a file or the system's journal, and how much is written to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use admin::Config;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// What the system's journal knows this program by.
const IDENTIFIER: &str = "imapd";

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file can't be opened.
    #[error("can't write the log file {}: {cause}; set logfile.imap.file to a path that can be \
             written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The system has no journal.
    #[error("can't reach the system's journal: {0}; set logfile.imap.destination to file")]
    Journal(io::Error),
}

/// The log of this process, whose level and file may change.
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    file: Option<LogFile>,
}

impl Log {
    /// Opens what `logfile.imap.destination` says: the system's journal, or `logfile.imap.file`, or
    /// standard error if that is none. Logs from now on.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn start(config: &Config) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(filter(config));
        let mut file = None;
        let layer = if config.word("logfile.imap.destination") == "journald" {
            let journal = tracing_journald::layer().map_err(LogError::Journal)?;
            let journal = journal.with_syslog_identifier(IDENTIFIER.into());
            journal.with_field_prefix(None).boxed()
        } else {
            let layer = fmt::layer().with_ansi(false);
            match config.path("logfile.imap.file") {
                Some(path) => {
                    let opened = LogFile::open(path)?;
                    file = Some(opened.clone());
                    layer.with_writer(opened).boxed()
                }
                None => layer.with_writer(io::stderr).boxed(),
            }
        };
        // Fails only if this process logs already.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .try_init();
        let filter = handle;
        Ok(Self { filter, file })
    }

    /// Takes the level from the configuration again, and opens the file again: the one before may
    /// have been moved away. Gives why that can't be done; then the one before is written on.
    pub fn refresh(&self, config: &Config) -> Option<String> {
        // Fails only if the log is gone, and with it this process.
        let _ = self.filter.reload(filter(config));
        let why = self.file.as_ref()?.reopen().err()?;
        let why = format!("{why}; the file that was open before is written on");
        tracing::error!("{why}");
        Some(why)
    }
}

/// A file to which whole lines are added. Clones share it.
#[derive(Clone)]
struct LogFile {
    path: Arc<Path>,
    open: Arc<Mutex<Open>>,
}

struct Open {
    file: File,
    /// The last line may have no end: the disk was full.
    is_torn: bool,
}

impl LogFile {
    fn open(path: PathBuf) -> Result<Self, LogError> {
        let file = open(&path)?;
        Ok(Self {
            path: path.into(),
            open: Arc::new(Mutex::new(Open {
                file,
                is_torn: false,
            })),
        })
    }

    fn reopen(&self) -> Result<(), LogError> {
        let file = open(&self.path)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.file = file;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// A whole line; one that follows half a line begins anew, for those who read the beginnings.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { file, is_torn } = &mut *open;
        if *is_torn {
            file.write_all(b"\n")?;
        }
        let written = file.write_all(line);
        *is_torn = written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn open(path: &Path) -> Result<File, LogError> {
    let opened = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().append(true).create(true).open(path)
    };
    opened().map_err(|cause| LogError::File {
        path: path.to_owned(),
        cause,
    })
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
    // What it says is said in other words.
    let base = format!("{base},async_nats=off");
    EnvFilter::new(ens::trace::filter(&base, variable))
}
