//! Opening the door of metrics and health.

use std::sync::Arc;
use std::time::SystemTime;

use admin::idle::Condition;
use admin::{Base, Config};
use arc_swap::ArcSwap;
use ens::ready::Ready;
use store::Store;

use super::Server;
use crate::bounds::Bounds;
use crate::broker::counted_site;
use crate::certificates::{CertificatesError, Shown};
use crate::control::{Authenticator, MailHandle};
use crate::http::{HttpDoor, Opening};
use crate::lines::Lines;
use crate::metrics::Measured;
use crate::stalls::Stalls;

/// Why metrics can't be told.
#[derive(Debug, thiserror::Error)]
enum DoorError {
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The token, or the system.
    #[error(transparent)]
    Kernel(#[from] std::io::Error),
}

impl Server {
    /// Tells metrics and health from now on, where that is wanted. Mail doesn't need it: if it
    /// can't be, that is reported, and the rest serves.
    pub fn open_door(&mut self, base: &Base, config: &Config, ready: &mut Ready) {
        if let Err(error) = self.try_open_door(base, config, ready) {
            ready.part_failed("http", &error);
        }
    }

    fn try_open_door(
        &mut self,
        base: &Base,
        config: &Config,
        ready: &mut Ready,
    ) -> Result<(), DoorError> {
        let Some(listener) = self.http.take() else {
            return Ok(());
        };
        let address = listener.local_addr()?;
        let outside = !address.ip().is_loopback();
        let tls = outside.then(|| self.certificates.for_http(config));
        let tls = tls.transpose()?;
        let certified = tls.is_none() || !self.measured.certificates.load().is_empty();
        let opening = Opening {
            listener,
            tls,
            token: base.http_token(),
            measured: self.measured.clone(),
            host: config.hostname(),
        };
        self.door = Some(HttpDoor::open(opening)?);
        let how = match (outside, certified) {
            (false, _) => "",
            (true, true) => ", over TLS, with the token in data/http.token",
            (true, false) => ", of use once config/tls/ holds a certificate",
        };
        ready.line(&format!("http listening on {address}{how}"));
        Ok(())
    }

    /// Takes the token again; gives why, if it can't be.
    pub(super) fn refresh_door(&self) -> Option<String> {
        let refreshed = self.door.as_ref()?.refresh();
        let error = refreshed.err()?;
        let why = format!("{error}; the token known before stays good");
        tracing::error!("{why}");
        Some(why)
    }
}

/// Everybody who counts.
pub(super) fn measured(
    shards: u16,
    (handle, store, lines): (&MailHandle, &Store, &Arc<Lines>),
    (bounds, stalls): (&Arc<Bounds>, &Arc<Stalls>),
    (authenticator, broker, base, config): (
        &Arc<Authenticator>,
        Option<&ens::server::Running>,
        &Base,
        &Config,
    ),
    certificates: Arc<ArcSwap<Vec<Shown>>>,
    conditions: Arc<ArcSwap<Vec<Condition>>>,
) -> Measured {
    Measured {
        handle: handle.clone(),
        sessions: counts_of_each(shards),
        commands: counts_of_each(shards),
        store: store.clone(),
        bounds: Arc::clone(bounds),
        stalls: Arc::clone(stalls),
        authenticator: Arc::clone(authenticator),
        lines: Arc::clone(lines),
        certificates,
        conditions,
        http: Arc::default(),
        site: counted_site(base, config, broker),
        started: time_of_day(),
    }
}

/// Cells of each shard's own, so that they don't share what they write to.
fn counts_of_each<T: Default>(shards: u16) -> Vec<Arc<T>> {
    (0..shards).map(|_| Arc::default()).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is told when the process began"
)]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}
