//! A client that waits long for a command hears that it goes on, and how far it is (RFC 9585).

use mail::Uid;

use super::{Session, Step, ViewState, Work};

impl Step {
    /// The tag of the command that waits for an answer; none if something else does, or if the
    /// client is in the middle of a response.
    fn tag_at_work(&self) -> Option<&str> {
        match self {
            Self::Sync { tag, .. }
            | Self::Simple { tag, .. }
            | Self::Expunge(tag, _)
            | Self::Close { tag }
            | Self::Append { tag, .. }
            | Self::Replaced { tag, .. }
            | Self::Finish { tag, .. } => Some(tag),
            Self::Fetch(job) if job.is_within_a_response() => None,
            // New messages of which NOTIFY tells have no command.
            Self::Fetch(job) => Some(&*job.tag).filter(|tag| !tag.is_empty()),
            Self::Selecting(it) | Self::Select(it) => Some(&it.tag),
            Self::Renaming(renaming) => Some(&renaming.tag),
            Self::UrlFetch(job) => Some(&*job.tag).filter(|_| !job.is_within_a_response()),
            Self::Urls(asking) => Some(asking.tag()),
            Self::Store(storing) => Some(&storing.tag),
            Self::Search(searching) => Some(&searching.tag),
            Self::Esearch(job) | Self::EsearchSelected(job, _) => Some(&job.tag),
            Self::Arrange(arranging) => Some(&arranging.tag),
            Self::Copy(copying) => Some(&copying.tag),
            Self::Replace(upload) | Self::Catenate(upload) => Some(&upload.tag),
            Self::CatchUp { step, .. } => step.tag_at_work(),
            _ => None,
        }
    }
}

impl Session {
    /// Whether a command waits for the answer to a request, and its client may be told so:
    /// [`Session::handle_progress`].
    pub fn is_at_work(&self) -> bool {
        self.user.is_some() && self.tag_at_work().is_some()
    }

    fn tag_at_work(&self) -> Option<&str> {
        match &self.work {
            Work::Waiting(step) => step.tag_at_work(),
            _ => None,
        }
    }

    /// The client has waited for long. `reached` says which message of the selected mailbox comes
    /// next, if the request goes through them in order.
    pub fn handle_progress(&mut self, reached: Option<Uid>) {
        let Some(tag) = self.tag_at_work().map(str::to_owned) else {
            return;
        };
        if self.closing || self.output.is_full() {
            return;
        }
        // What is searched elsewhere is not in the view.
        let reached = reached.filter(|_| !self.is_elsewhere());
        match reached.and_then(|reached| self.messages_below(reached)) {
            Some((done, all)) => self.say(&format!(
                "* OK [INPROGRESS (\"{tag}\" {done} {all})] {done} of {all} messages are done"
            )),
            None => self.say(&format!(
                "* OK [INPROGRESS (\"{tag}\" NIL NIL)] Still at work"
            )),
        }
    }

    fn is_elsewhere(&self) -> bool {
        matches!(&self.work, Work::Waiting(step) if matches!(**step, Step::Esearch(_)))
    }

    /// How many messages of the view are below a UID, and how many there are, if there are any.
    fn messages_below(&self, uid: Uid) -> Option<(u32, u32)> {
        let ViewState::Loaded(view) = &self.selected.as_deref()?.view else {
            return None;
        };
        let below = Uid(uid.0.saturating_sub(1));
        let done = view.in_view([(Uid(1), below)].into_iter().collect()).count;
        Some((done, view.exists())).filter(|(_, all)| *all > 0)
    }
}
