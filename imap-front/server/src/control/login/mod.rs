//! Passwords: what verified lately is remembered, cheap hashes are checked here, costly ones on a
//! thread that may block.

mod delay;

use admin::password::{self, Scheme};
use admin::users::{self, User};
use engine::event::SessionId;
use mail::Reply;
use mail::request::Credentials;

use super::{Control, busy};

pub use delay::Delay;

/// Checks credentials and answers.
pub(super) fn handle(control: &Control, id: SessionId, credentials: Credentials) {
    let recalled = control
        .login
        .recall(&credentials.user, &credentials.password);
    if let Some(user) = recalled.filter(|_| acts_as_itself(&credentials)) {
        accept(control, id, &user);
    } else if is_cheap(control, &credentials.user) {
        verify(control, id, &credentials);
    } else {
        let job = control.clone();
        if !control
            .passwords
            .run(move || verify(&job, id, &credentials))
        {
            control.replier.reply(id, busy());
        }
    }
}

fn verify(control: &Control, id: SessionId, credentials: &Credentials) {
    let verified = control
        .login
        .verify(&credentials.user, &credentials.password);
    match verified {
        Ok(Some(user)) if acts_as_itself(credentials) => accept(control, id, &user),
        Ok(_) => control.delay.refuse(id),
        Err(error) => {
            tracing::error!("can't check a password: {error}");
            control.replier.reply(id, busy());
        }
    }
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
        Ok(Some(user)) => control.replier.reply(id, Reply::Authenticated(user)),
        _ => {
            let replier = control.replier.clone();
            let completion = Box::new(move |reply| replier.reply(id, reply));
            if control.store.ensure_user(&user.name, completion).is_err() {
                control.replier.reply(id, busy());
            }
        }
    }
}
