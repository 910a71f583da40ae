//! Which mailboxes a user has or may look up.

use mail::{MailboxInfo, MailboxName, UserId};

use crate::access;
use crate::state::State;

/// All mailboxes and subscriptions of a user, and others' mailboxes that they may look up, by name.
pub(crate) fn mailboxes(state: &State, user: UserId) -> Vec<MailboxInfo> {
    let Some(account) = state.accounts.get(&user) else {
        return vec![];
    };
    let mut names: Vec<&MailboxName> = account.names.keys().chain(&account.subscribed).collect();
    names.sort_unstable();
    names.dedup();
    let info = |name: &MailboxName| {
        let row = account.names.get(name);
        MailboxInfo {
            name: name.clone(),
            selectable: row.is_some_and(|row| row.mailbox.is_some()),
            exists: row.is_some(),
            subscribed: account.subscribed.contains(name),
            special_use: row.and_then(|row| row.special_use),
        }
    };
    let mut infos: Vec<MailboxInfo> = names.into_iter().map(info).collect();
    for name in access::visible(state, user) {
        match infos.binary_search_by(|info| info.name.cmp(&name)) {
            Ok(at) if infos[at].exists => {}
            Ok(at) => {
                infos[at].exists = true;
                infos[at].selectable = true;
            }
            Err(at) => {
                let info = MailboxInfo {
                    name,
                    selectable: true,
                    exists: true,
                    subscribed: false,
                    special_use: None,
                };
                infos.insert(at, info);
            }
        }
    }
    infos
}
