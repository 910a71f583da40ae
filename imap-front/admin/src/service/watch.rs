//! The watcher: a service that is meant to run and has died is started again.
#![expect(
    clippy::disallowed_methods,
    reason = "the watcher does nothing but look now and then"
)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::pid_file::{self, running};
use super::process::{lock, start_locked};
use super::{ENS, IMAP, Service};
use crate::{Base, Config};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a service may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// So many deaths within this time are too many: the service is left alone.
const DEATHS_MAX: usize = 5;
const DEATHS_WITHIN: Duration = Duration::from_secs(60);

struct Watched {
    service: &'static Service,
    deaths: VecDeque<Instant>,
}

/// The services that are meant to run and don't.
pub fn died(base: &Base) -> Option<&'static Service> {
    [&ENS, &IMAP]
        .into_iter()
        .find(|service| has_died(base, service))
}

/// Watches until `stop` is set. With `ha` a death ends the watch, with an error for who decides
/// where the services run next. What happens is told to `log`.
///
/// # Errors
/// Which service has died, with `ha`.
pub fn watch(
    base: &Base,
    ha: bool,
    stop: &AtomicBool,
    mut log: impl FnMut(&str),
) -> Result<(), String> {
    let mut watched = [&ENS, &IMAP].map(|service| Watched {
        service,
        deaths: VecDeque::new(),
    });
    while !stop.load(Ordering::Relaxed) {
        for one in &mut watched {
            if !has_died(base, one.service) {
                continue;
            }
            let name = one.service.name;
            if ha {
                return Err(format!(
                    "{name} server has died; high availability: giving up"
                ));
            }
            one.revive(base, &mut log);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// It is meant to run and doesn't. Whoever starts or stops it at the moment decides for himself.
fn has_died(base: &Base, service: &Service) -> bool {
    pid_file::path(base, service).exists()
        && running(base, service).is_ok_and(|pid| pid.is_none())
        && lock(base, service).is_ok()
}

impl Watched {
    fn revive(&mut self, base: &Base, log: &mut impl FnMut(&str)) {
        let (service, name) = (self.service, self.service.name);
        let Ok(_lock) = lock(base, service) else {
            return;
        };
        // Seen again under the lock.
        if !pid_file::path(base, service).exists()
            || running(base, service).is_ok_and(|pid| pid.is_some())
        {
            return;
        }
        let now = Instant::now();
        self.deaths.push_back(now);
        self.deaths
            .retain(|death| now.duration_since(*death) < DEATHS_WITHIN);
        if self.deaths.len() > DEATHS_MAX {
            log(&format!(
                "{name} server dies again and again and is left alone; see its log"
            ));
            let _ = std::fs::remove_file(pid_file::path(base, service));
            return;
        }
        log(&format!("{name} server has died and is started again"));
        let started = Config::load(base)
            .map_err(|error| error.to_string())
            .and_then(|config| {
                let arguments = service.arguments(base, &config);
                start_locked(base, service, &arguments, READY_WITHIN, |_| {})
                    .map_err(|error| error.to_string())
            });
        match started {
            Ok(()) => log(&format!("{name} server runs again")),
            Err(error) => log(&error),
        }
    }
}
