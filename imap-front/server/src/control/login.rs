//! Passwords: what verified lately is remembered, cheap hashes are checked here, costly ones on a
//! thread that may block.

use std::rc::Rc;
use std::time::Duration;

use admin::password::{self, Scheme};
use admin::users::{self, User};
use engine::event::SessionId;
use glommio::sync::Semaphore;
use mail::request::Credentials;
use mail::{Refusal, Reply};

use super::{Control, busy};

/// How long a failed login is kept waiting, so that guessing takes time.
const FAILURE_DELAY: Duration = Duration::from_secs(1);

/// Checks credentials and answers.
pub(super) fn handle(
    control: &Rc<Control>,
    gate: &Rc<Semaphore>,
    id: SessionId,
    credentials: Credentials,
) {
    let login = control.login.clone();
    if let Some(user) = login.recall(&credentials.user, &credentials.password) {
        return accept(control, id, &user);
    }
    if is_cheap(control, &credentials.user) {
        let verified = login.verify(&credentials.user, &credentials.password);
        if let Ok(Some(user)) = verified
            && acts_as_itself(&credentials)
        {
            return accept(control, id, &user);
        }
        return refuse(control, id);
    }
    let (control, gate) = (control.clone(), gate.clone());
    glommio::spawn_local(async move {
        let _permit = gate.acquire_permit(1).await;
        let itself = acts_as_itself(&credentials);
        let verified = glommio::executor()
            .spawn_blocking(move || login.verify(&credentials.user, &credentials.password))
            .await;
        match verified {
            Ok(Some(user)) if itself => accept(&control, id, &user),
            Ok(_) => refuse(&control, id),
            Err(error) => {
                tracing::error!("can't check a password: {error}");
                control.answer.reply(id, busy());
            }
        }
    })
    .detach();
}

/// RFC 4616 §2: here a user may only act as themselves.
fn acts_as_itself(credentials: &Credentials) -> bool {
    match &credentials.authorization {
        Some(other) => users::canonical(other).ok() == users::canonical(&credentials.user).ok(),
        None => true,
    }
}

fn is_cheap(control: &Control, name: &str) -> bool {
    match control.login.users().find(name) {
        Ok(Some(user)) => {
            matches!(password::split(&user.stored), Ok((Scheme::Ssha256, _)))
        }
        _ => false,
    }
}

/// The password is right: answers with the store's user, made at the first login.
fn accept(control: &Control, id: SessionId, user: &User) {
    match control.store.user(&user.name) {
        Ok(Some(user)) => control.answer.reply(id, Reply::Authenticated(user)),
        _ => {
            let answer = control.answer.clone();
            let completion = Box::new(move |reply| answer.reply(id, reply));
            if control.store.ensure_user(&user.name, completion).is_err() {
                control.answer.reply(id, busy());
            }
        }
    }
}

fn refuse(control: &Rc<Control>, id: SessionId) {
    let control = control.clone();
    glommio::spawn_local(async move {
        glommio::timer::sleep(FAILURE_DELAY).await;
        control
            .answer
            .reply(id, Reply::Refused(Refusal::Credentials));
    })
    .detach();
}
