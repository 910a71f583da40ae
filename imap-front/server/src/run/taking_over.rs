//! Where a server's store and connections come from: files, or the process before.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ens::ready::Ready;
use ens::server::Bound;
use store::{Announcer, Store};

use super::{Server, StartError, accepted, announcer, shards};
use crate::control::MailHandle;
use crate::handover::{Coming, Gate, Memory, Successor, take_store};
use crate::options::Options;

/// Where a server begins.
pub enum Origin {
    /// With what its files hold, and nobody connected.
    Files {
        /// Whether a store that has lost something is served.
        accept_loss: bool,
    },
    /// With what another process has, all of it, which serves until then.
    Predecessor(Box<Successor>),
}

impl Origin {
    /// The ways of connections for so many shards; none if none come.
    pub(super) fn coming(&mut self, shards: u16) -> io::Result<Vec<Coming>> {
        match self {
            Self::Files { .. } => Ok(vec![]),
            Self::Predecessor(successor) => (0..shards).map(|_| successor.coming()).collect(),
        }
    }

    /// The broker with its clients, if any come. Those of mail's shards come before.
    pub(super) fn give_to_broker(&mut self, broker: Bound) -> io::Result<Bound> {
        let coming = self.coming(broker.shards())?;
        let secret = match self {
            Self::Files { .. } => None,
            Self::Predecessor(successor) => successor.secret(),
        };
        Ok(broker.following(secret, coming))
    }

    /// Where tools come in. Until a process has taken over there is nothing to be asked about.
    pub(super) fn gate(&self) -> Arc<Gate> {
        let gate = Gate::default();
        if let Self::Predecessor(_) = self {
            gate.close(Duration::ZERO);
        }
        Arc::new(gate)
    }

    /// Has this process end when nobody waits any more for it to take over.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn end_when_given_up(&self, ready: &Ready) -> io::Result<()> {
        match self {
            Self::Files { .. } => Ok(()),
            Self::Predecessor(successor) => successor.end_when_given_up(ready),
        }
    }
}

/// The store: opened, or awaited.
pub(super) fn open_store(
    options: &mut Options,
    origin: &Origin,
    handle: &MailHandle,
    ready: &mut Ready,
) -> Result<Store, StartError> {
    let accept_loss = match origin {
        Origin::Predecessor(_) => {
            return Ok(Store::awaited(&options.data, options.store.clone())?);
        }
        Origin::Files { accept_loss } => *accept_loss,
    };
    options.store.accept_loss = accept_loss;
    let announcer = announcer(handle.clone());
    let (store, recovery) = Store::open(&options.data, options.store.clone(), announcer)?;
    tracing::info!("the store has {} commits", recovery.commits);
    if let Some(loss) = &recovery.loss {
        ready.line(&accepted(loss, recovery.messages_lost));
    }
    Ok(store)
}

impl Server {
    /// Takes over what another process has; after this that one is gone. Gives how many
    /// connections there are.
    ///
    /// # Errors
    /// What can't be taken: the other one goes on, and this server is of no use.
    pub fn take_over(
        &mut self,
        successor: Successor,
        ready: &mut Ready,
    ) -> Result<usize, StartError> {
        let handle = self.handle.clone();
        let announcer = || -> Announcer { announcer(handle.clone()) };
        let open = |memory: &[u8]| {
            let broker = self.broker.as_ref();
            Memory::of(&self.authenticator, &self.certificates, broker).take_over(memory);
            take_store(&self.store, announcer).map_err(|error| error.to_string())
        };
        let (connections, recovery) =
            successor.take(ready, &shards(&self.handle, self.broker.as_ref()), open)?;
        self.gate.open();
        tracing::info!("the store has {} commits", recovery.commits);
        tracing::info!(
            target: "handover", event = %"upgrade", result = %"ok", connections,
            "this process has taken over"
        );
        Ok(connections)
    }
}
