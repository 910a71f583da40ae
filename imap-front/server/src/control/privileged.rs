//! What administrators may do that others may not; quotas, whose roots go by users' present names;
//! and signed URLs, whose keys come of chance.

use mail::{AccessKey, QuotaOf, Refusal, Reply, Request};

use super::{Control, Replier, busy};
use crate::front::Requester;

/// Has a request done that may need an administrator: of quotas, SETMETADATA, signed URLs.
pub(super) fn handle(control: &Control, requester: &Requester, mut request: Request) {
    let authenticator = control.authenticator.clone();
    let named = match &mut request {
        Request::Quota { user, of, is_admin } => {
            *is_admin = authenticator.is_admin(*user);
            match of {
                QuotaOf::User(name) => Some(name),
                QuotaOf::Mailbox(_) => None,
            }
        }
        Request::SetQuota {
            user,
            whose,
            is_admin,
            ..
        } => {
            *is_admin = authenticator.is_admin(*user);
            if !*is_admin {
                // Whether there is such a user is not told.
                let refused = Reply::Refused(Refusal::NoPermission);
                return control.replier.reply(requester.id, refused);
            }
            Some(whose)
        }
        Request::SignUrls { fresh, .. } => {
            *fresh = Some(AccessKey::new(authenticator.fresh_key()));
            None
        }
        Request::OpenUrl { user, submits, .. } => {
            *submits = authenticator.submits(*user);
            None
        }
        Request::SetMetadata { user, is_admin, .. } => {
            *is_admin = authenticator.is_admin(*user);
            None
        }
        _ => None,
    };
    if let Some(name) = named {
        // Not an earlier user's of that name.
        let Some(account) = authenticator.account_of(name) else {
            let refused = Reply::Refused(Refusal::NoQuotaRoot);
            return control.replier.reply(requester.id, refused);
        };
        *name = account;
    }
    let (replier, id) = (control.replier.clone(), requester.id);
    let answer = move |mut reply: Reply| {
        if let Reply::Quota(root) = &mut reply {
            root.user = authenticator.name_of(&root.user);
        }
        replier.reply(id, reply);
    };
    match control.store.read(&request) {
        Some(reply) => answer(reply),
        None => {
            let replier: Replier = control.replier.clone();
            let given = control.store.write(request, Box::new(answer));
            if given.is_err() {
                replier.reply(id, busy());
            }
        }
    }
}
