//! The bounded queue from a data plane to its control plane.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mail::Request;

use crate::front::{Backend, Requester};

/// Requests under way from one shard: more than this many are refused, politely.
const REQUESTS_MAX: usize = 16 * 1024;

/// The control plane's end: ends when the data plane has dropped its own.
pub type Requests = Receiver<(Arc<Requester>, Request)>;

/// The data plane's end of a port.
pub struct PortBackend {
    requests: Sender<(Arc<Requester>, Request)>,
}

/// One direction of the seam between the planes of a core.
pub fn port() -> (PortBackend, Requests) {
    let (sender, receiver) = bounded(REQUESTS_MAX);
    (PortBackend { requests: sender }, receiver)
}

impl Backend for PortBackend {
    fn submit(&mut self, requester: &Arc<Requester>, request: Request) -> Result<(), Request> {
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
