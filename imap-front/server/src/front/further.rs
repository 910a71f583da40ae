//! What NOTIFY has sessions watch beside their selected mailbox.

use engine::event::Event;
use engine::protocol::Context;
use engine::topic::TopicId;
use engine::{Beside, Mark};
use mail::{MailboxId, ModSeq, News, Reply};
use proto::imap::Spec;
use proto::imap::action::FurtherWatch;

use crate::announce::{is_of_names, names_topic};

/// Has the engine watch them.
pub fn watch(cx: &mut Context<'_, Reply>, spec: std::sync::Arc<Spec>, watches: &[FurtherWatch]) {
    let watches = watches.iter().map(|watch| match watch {
        FurtherWatch::Mailbox(id, modseq, bits) => {
            let (cursor, bits) = (modseq.0 as u16, *bits);
            (TopicId(id.0), Mark { cursor, bits })
        }
        FurtherWatch::Names(user) => {
            let (cursor, bits) = (0, Mark::ALWAYS);
            (names_topic(*user), Mark { cursor, bits })
        }
    });
    let beside: Beside = spec;
    cx.watch_further(beside, watches.collect());
}

/// The session was told of a mailbox.
pub fn told(cx: &mut Context<'_, Reply>, mailbox: MailboxId, modseq: ModSeq) {
    cx.told(TopicId(mailbox.0), modseq.0);
}

/// The mailbox of a topic; none if it is of names.
fn mailbox(topic: TopicId) -> Option<MailboxId> {
    (!is_of_names(topic)).then_some(MailboxId(topic.0))
}

/// The mailboxes among topics.
pub fn mailboxes(topics: &[TopicId]) -> Vec<MailboxId> {
    topics.iter().filter_map(|id| mailbox(*id)).collect()
}

/// Topics as a session's machine knows them, with how far it was told.
pub fn missed(topics: &[(TopicId, Mark)]) -> Vec<(Option<MailboxId>, u16)> {
    let topics = topics.iter();
    topics
        .map(|(id, mark)| (mailbox(*id), mark.cursor))
        .collect()
}

/// Whether an event comes after what was told; what comes before it has been told then.
pub fn is_newer(mark: &mut Mark, event: &Event<News>) -> bool {
    let seq = match &event.fact {
        // They have no numbers.
        News::Name(_) => return true,
        News::Mailbox(_, Some(figures)) => figures.modseq.0.max(event.seq),
        _ => event.seq,
    };
    let is_newer = mark.is_before(event.seq);
    if is_newer {
        mark.cursor = seq as u16;
    }
    is_newer
}
