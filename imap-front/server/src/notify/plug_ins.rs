//! Loading the plug-ins of `local.store.notifyplugin`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use admin::config::PlugIn;
use admin::{Base, Config};
use ibiff::host::{Calls, Loaded};

use super::broker_link::{BrokerLink, BrokerLinks};
use crate::child::{self, Ended};

/// The exit code of a trial that went well; a plug-in that ends its process hardly hits it.
pub const SURVIVED: u8 = 86;
/// How long a plug-in may take to start.
const START_WITHIN: Duration = Duration::from_secs(10);

/// What became of the configured plug-ins.
pub struct PlugIns {
    /// Those that work.
    pub loaded: Vec<Loaded>,
    /// For each configured one, why it was refused, if it was.
    pub refused: Vec<Option<String>>,
    /// For each configured one, the way to its broker.
    pub links: Vec<Option<BrokerLink>>,
}

/// What a plug-in may ask, in the server or in a trial.
struct Asked {
    config: Arc<Config>,
    plug_in: PlugIn,
    broker_link: Option<BrokerLink>,
}

impl Calls for Asked {
    fn option(&self, name: &str) -> Option<String> {
        let value = self.config.plug_in_option(&self.plug_in, name)?;
        Some(value.to_owned())
    }

    fn publish(&self, event_ref: &str, payload: &[u8]) {
        if let Some(broker_link) = &self.broker_link {
            broker_link.publish(event_ref, payload);
        }
    }

    fn log(&self, text: &str) {
        tracing::info!("{}: {text}", self.plug_in.library);
    }
}

impl PlugIns {
    /// Loads each plug-in that a trial in another process has survived; what is wrong with the
    /// others is logged, and the server runs on.
    pub fn load(base: &Base, config: &Arc<Config>, links: &mut BrokerLinks) -> Self {
        let mut all = Self {
            loaded: vec![],
            refused: vec![],
            links: vec![],
        };
        for (number, plug_in) in config.plug_ins().into_iter().enumerate() {
            let broker_link = links.of(config, &plug_in).map_err(|why| why.to_string());
            let loaded = trial(base, number).and_then(|()| {
                let broker_link = broker_link.clone()?;
                load(config, &plug_in, Some(broker_link))
            });
            let refused = loaded.as_ref().err().cloned();
            if let Some(why) = &refused {
                tracing::error!(
                    "the notification plug-in {} is refused: {why}",
                    plug_in.library
                );
            }
            all.loaded.extend(loaded);
            all.refused.push(refused);
            all.links.push(broker_link.ok());
        }
        all
    }
}

fn load(
    config: &Arc<Config>,
    plug_in: &PlugIn,
    broker_link: Option<BrokerLink>,
) -> Result<Loaded, String> {
    let path = admin::idle::library(config, plug_in);
    let asked = Asked {
        config: config.clone(),
        plug_in: plug_in.clone(),
        broker_link,
    };
    Loaded::load(&path, Box::new(asked)).map_err(|why| why.to_string())
}

/// Loads a plug-in, by its place in the list, and lets it go; for a process of its own.
///
/// # Errors
/// Why it is refused.
pub fn try_plug_in(base: &Base, number: usize) -> Result<(), String> {
    let config = Arc::new(Config::load(base).map_err(|error| error.to_string())?);
    let plug_ins = config.plug_ins();
    let plug_in = plug_ins.get(number).ok_or("there is no such plug-in")?;
    load(&config, plug_in, None).map(drop)
}

/// Tries a plug-in in another process, so that only that one crashes with it.
///
/// # Errors
/// Why it is refused.
pub fn trial(base: &Base, number: usize) -> Result<(), String> {
    let mut command = Command::new(Path::new("/proc/self/exe"));
    command
        .arg("--base")
        .arg(base.root())
        .arg("--try-plugin")
        .arg(number.to_string())
        .env_remove(admin::service::READY_FD)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    match child::run(&mut command, START_WITHIN) {
        Ok(Ended::Itself { said, status }) => match status.code() {
            Some(code) if code == i32::from(SURVIVED) => Ok(()),
            Some(_) if !said.is_empty() => Err(said),
            Some(_) => Err(format!("it ended its process while it started: {status}")),
            None => {
                let why = format!("it crashed while it started: {status} {said}");
                Err(why.trim_end().to_owned())
            }
        },
        Ok(Ended::TooLate) => Err(format!("it did not start within {START_WITHIN:?}")),
        Err(error) => Err(format!("it can't be tried: {error}")),
    }
}
