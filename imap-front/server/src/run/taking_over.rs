//! Where a server's store and connections come from: files, or the process before.

use ens::ready::Ready;
use store::{Announcer, Store};

use super::{Server, StartError, accepted, announcer};
use crate::control::MailHandle;
use crate::handover::Successor;
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
    pub fn take_over(&mut self, successor: Successor) -> Result<usize, StartError> {
        let handle = self.handle.clone();
        let announcer = || -> Announcer { announcer(handle.clone()) };
        let (connections, recovery) = successor.take(&self.store, &self.handle, announcer)?;
        tracing::info!("the store has {} commits", recovery.commits);
        tracing::info!(
            target: "imapd", event = %"upgrade", result = %"ok", connections,
            "this process has taken over"
        );
        Ok(connections)
    }
}
