//! The control plane's half of the seam: sessions' requests come in through a [`port`], are done
//! here, and the answers go back through the engine's handle.
//!
//! Reads run on the plane's own thread; what may take long (searching bodies, parsing large
//! messages, hashing passwords) runs on [`Workers`]; writes go to the store's writer thread, whose
//! completion answers the session without coming back here.

mod login;
mod port;
mod replier;
mod workers;

use std::sync::Arc;

use admin::users::Login;
use engine::event::SessionId;
use mail::{Refusal, Reply, Request};
use store::Store;

pub use login::Delay;
pub use port::{PortBackend, Requests, port};
pub use replier::{MailHandle, Replier};
pub use workers::Workers;

/// What a control plane works with; clones share it.
#[derive(Clone)]
pub struct Control {
    /// The store.
    pub store: Store,
    /// Passwords.
    pub login: Arc<Login>,
    /// Where answers go.
    pub replier: Replier,
    /// Threads for what reads many messages.
    pub searches: Workers,
    /// Threads for costly password hashes.
    pub passwords: Workers,
    /// Failed logins that are kept waiting.
    pub delay: Delay,
}

/// Serves requests until the data plane is gone.
pub fn serve(control: &Control, requests: &Requests) {
    for (id, request) in requests {
        match request {
            Request::Authenticate(credentials) => login::handle(control, id, credentials),
            request if store::is_write(&request) => write(control, id, request),
            request if is_heavy(&request) => search(control, id, request),
            request => match control.store.read(&request) {
                Some(reply) => control.replier.reply(id, reply),
                // A SELECT that claims recent messages changes something after all.
                None => write(control, id, request),
            },
        }
    }
}

/// Hands a write to the store's writer, whose completion answers.
fn write(control: &Control, id: SessionId, request: Request) {
    let replier = control.replier.clone();
    let completion = Box::new(move |reply| replier.reply(id, reply));
    if control.store.write(request, completion).is_err() {
        control.replier.reply(id, busy());
    }
}

/// Hands a read that may take long to a worker.
fn search(control: &Control, id: SessionId, request: Request) {
    let (store, replier) = (control.store.clone(), control.replier.clone());
    let work = move || replier.reply(id, store.read(&request).unwrap_or_else(busy));
    if !control.searches.run(work) {
        control.replier.reply(id, busy());
    }
}

/// The answer when a queue is full.
pub(crate) fn busy() -> Reply {
    Reply::Refused(Refusal::Unavailable(
        "too many requests are waiting, try again".into(),
    ))
}

/// Whether a request may take longer than others should wait for it.
fn is_heavy(request: &Request) -> bool {
    match request {
        Request::Search { program, .. } => program.needs_content(),
        Request::Fetch { want, .. } => want.structure,
        _ => false,
    }
}
