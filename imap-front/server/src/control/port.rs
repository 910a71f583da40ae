//! The bounded queue from a data plane to its control plane.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mail::Request;
use store::Store;

use super::{Control, Replier, busy, store_write};
use crate::front::{Backend, Requester};

/// Requests under way from one shard: more than this many are refused, politely.
const REQUESTS_MAX: usize = 16 * 1024;

/// The control plane's end: ends when the data plane has dropped its own.
pub type Requests = Receiver<(Arc<Requester>, Request)>;

/// The data plane's end of a port.
pub struct PortBackend {
    requests: Sender<(Arc<Requester>, Request)>,
    /// Messages go to the store's writer at once: they need nothing of the control plane, and each
    /// wake that a delivery is spared counts.
    store: Store,
    replier: Replier,
}

/// One direction of the seam between the planes of a core.
pub fn port(control: &Control) -> (PortBackend, Requests) {
    let (requests, receiver) = bounded(REQUESTS_MAX);
    let backend = PortBackend {
        requests,
        store: control.store.clone(),
        replier: control.replier.clone(),
    };
    (backend, receiver)
}

impl Backend for PortBackend {
    fn submit(&mut self, requester: &Arc<Requester>, request: Request) -> Result<(), Request> {
        if let Request::Deliver { .. } | Request::Spool { .. } = request {
            let given = store_write(&self.store, &self.replier, requester, request);
            // Otherwise there is room soon.
            return given.or_else(|request| match self.store.is_closed() {
                true => {
                    self.replier.reply(requester.id, busy());
                    Ok(())
                }
                false => Err(request),
            });
        }
        self.requests
            .try_send((requester.clone(), request))
            .map_err(|error| match error {
                TrySendError::Full((_, request)) | TrySendError::Disconnected((_, request)) => {
                    request
                }
            })
    }

    fn has_room(&self) -> bool {
        self.requests.len() < REQUESTS_MAX / 4
    }
}
