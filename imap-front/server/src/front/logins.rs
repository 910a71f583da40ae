//! Who is logged in from where, for those who are told of it.

use std::collections::HashMap;
use std::net::IpAddr;

use engine::event::SessionId;
use mail::UserId;

use crate::notify::{News, Queue};

/// Sessions of one shard that have logged in.
pub struct Logins {
    queue: Queue,
    sessions: HashMap<SessionId, (UserId, IpAddr)>,
}

impl Logins {
    /// Reports to a queue.
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            sessions: HashMap::new(),
        }
    }

    /// A session has logged in.
    pub(super) fn came(&mut self, id: SessionId, user: UserId, client: IpAddr) {
        self.sessions.insert(id, (user, client));
        self.queue.report(News::Login { user, client });
    }

    /// A session is gone.
    pub(super) fn left(&mut self, id: SessionId) {
        if let Some((user, client)) = self.sessions.remove(&id) {
            self.queue.report(News::Logout { user, client });
        }
    }
}
