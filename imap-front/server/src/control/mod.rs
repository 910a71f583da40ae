//! The control plane's half of the seam: sessions' requests come in through a [`port`], are done
//! here, and the answers go back through the engine's handle.
//!
//! Users take turns. Reads run on the plane's own thread; what may take long (searching, parsing
//! large messages, hashing passwords) runs on [`Workers`], fair between users and in pieces; writes
//! go to the store's writer thread, whose completion answers the session without coming back here.
//! What a session asked that has left since is dropped, but for writes.

mod fair_queue;
mod login;
mod port;
mod privileged;
mod reading;
mod replier;
mod turns;
mod workers;

use std::sync::Arc;

use mail::{Refusal, Reply, Request};
use store::{Cold, Store};

pub use login::{Authenticator, Rate};
pub use port::{PortBackend, Requests, port};
pub use replier::{MailHandle, Replier};
pub use workers::Workers;

use crate::bounds::{Bound, Bounds};
use crate::front::Requester;
use crate::stalls::{Plane, Stalls};
use crate::{panics, planted};

/// Searches and the like that may wait, of one user and in all.
pub const SEARCHES_MAX: (usize, usize) = (64, 4096);

/// What a control plane works with; clones share it.
#[derive(Clone)]
pub struct Control {
    /// The store.
    pub store: Store,
    /// Passwords.
    pub authenticator: Arc<Authenticator>,
    /// Where answers go.
    pub replier: Replier,
    /// Threads for what reads many messages.
    pub searches: Workers,
    /// What is refused, and dropped.
    pub bounds: Arc<Bounds>,
    /// What takes too long.
    pub stalls: Arc<Stalls>,
}

/// Serves requests until the data plane is gone.
pub fn serve(control: &Control, requests: &mut Requests) {
    for (requester, request) in requests {
        planted::here("control");
        let is_write = request.is_write();
        if requester.is_gone() && !is_write {
            control.bounds.meet(Bound::WorkAbandoned);
            continue;
        }
        let (name, user, id) = (request.name(), requester.user, requester.id);
        let handle = || panics::catch(name, || handle(control, requester, request));
        let handled = control
            .stalls
            .time(Plane::Control, name, (user, Some(id)), handle);
        if handled.is_none() {
            control.replier.reply(id, Reply::Refused(Refusal::Bug));
        }
    }
}

fn handle(control: &Control, requester: Arc<Requester>, request: Request) {
    planted::here("request");
    match request {
        Request::Authenticate(credentials) => control.authenticator.handle(requester, credentials),
        Request::Challenge { user } => control.authenticator.challenge(&requester, &user),
        // Nobody awaits the answer.
        Request::Claim { .. } => drop(control.store.read(&request)),
        Request::Recipient { whole, local } => {
            let reply = control.authenticator.recipient(whole.as_deref(), &local);
            control.replier.reply(requester.id, reply);
        }
        Request::Quota { .. }
        | Request::SetQuota { .. }
        | Request::SetMetadata { .. }
        | Request::SignUrls { .. }
        | Request::OpenUrl { .. } => {
            privileged::handle(control, &requester, request);
        }
        request if request.is_write() => write(control, &requester, request),
        request if reading::is_long(&request) => reading::run(control, requester, request),
        request => match control.store.read_at_once(&request) {
            Ok(Some(reply)) => control.replier.reply(requester.id, reply),
            Ok(None) => write(control, &requester, request),
            Err(Cold) => reading::run(control, requester, request),
        },
    }
}

/// Hands a write to the store's writer, whose completion answers.
fn write(control: &Control, requester: &Requester, request: Request) {
    if store_write(&control.store, &control.replier, requester, request).is_err() {
        control.replier.reply(requester.id, busy());
    }
}

/// Hands a write to the store's writer; gives it back if that takes none.
fn store_write(
    store: &Store,
    replier: &Replier,
    requester: &Requester,
    request: Request,
) -> Result<(), Request> {
    let (replier, id) = (replier.clone(), requester.id);
    let completion = Box::new(move |reply| replier.reply(id, reply));
    store
        .write(request, completion)
        .map_err(|(request, _)| request)
}

/// The answer when a queue is full.
pub(crate) fn busy() -> Reply {
    Reply::Refused(Refusal::Busy("too many requests are waiting, try again"))
}
