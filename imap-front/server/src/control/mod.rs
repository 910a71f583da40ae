//! The control plane's half of the seam: sessions' requests come in through a [`Port`], are done
//! here, and the answers go back through the engine's handle.
//!
//! Reads run on this executor; what may take long (searching bodies, parsing large messages,
//! hashing passwords) runs on its blocking threads; writes go to the store's writer thread, whose
//! completion answers the session without coming back here.

mod answer;
mod login;
mod port;

use std::rc::Rc;
use std::sync::Arc;

use admin::users::Login;
use engine::event::SessionId;
use mail::{Refusal, Reply, Request};
use store::Store;

pub use answer::{Answer, MailHandle};
pub use port::{Port, PortBackend};

/// How many requests run on blocking threads at a time on one executor; more wait their turn.
const BLOCKING_MAX: usize = 64;

/// What a control plane works with.
pub struct Control {
    /// Where requests come from.
    pub port: Arc<Port>,
    /// The store.
    pub store: Store,
    /// Passwords.
    pub login: Arc<Login>,
    /// Where answers go.
    pub answer: Answer,
}

/// Serves requests until the port is closed.
pub async fn serve(control: Control) {
    let control = Rc::new(control);
    let gate = Rc::new(glommio::sync::Semaphore::new(BLOCKING_MAX as u64));
    while let Some((id, request)) = control.port.next().await {
        match request {
            Request::Authenticate(credentials) => {
                login::handle(&control, &gate, id, credentials);
            }
            request if store::is_write(&request) => write(&control, id, request),
            request if is_heavy(&request) => {
                let (control, gate) = (control.clone(), gate.clone());
                glommio::spawn_local(async move {
                    let _permit = gate.acquire_permit(1).await;
                    let store = control.store.clone();
                    let reply = glommio::executor()
                        .spawn_blocking(move || store.read(&request))
                        .await;
                    control.answer.reply(id, reply.unwrap_or_else(busy));
                })
                .detach();
            }
            request => match control.store.read(&request) {
                Some(reply) => control.answer.reply(id, reply),
                // A SELECT that claims recent messages changes something after all.
                None => write(&control, id, request),
            },
        }
    }
}

/// Hands a write to the store's writer, whose completion answers.
fn write(control: &Control, id: SessionId, request: Request) {
    let answer = control.answer.clone();
    let completion = Box::new(move |reply| answer.reply(id, reply));
    if control.store.write(request, completion).is_err() {
        control.answer.reply(id, busy());
    }
}

/// The answer when a queue is full.
pub(crate) fn busy() -> Reply {
    Reply::Refused(Refusal::Unavailable(
        "too many requests are waiting, try again".into(),
    ))
}

/// Whether a request may take longer than a turn of the executor should.
fn is_heavy(request: &Request) -> bool {
    match request {
        Request::Search { program, .. } => program.needs_content(),
        Request::Fetch { want, .. } => want.structure,
        _ => false,
    }
}
