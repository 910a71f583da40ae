//! Commands that take long: their clients are told that they go on (RFC 9585).

use super::FrontSession;

/// How long a client waits before it is told, and then between two tellings.
const EVERY_NS: u64 = 10_000_000_000;

/// A command that waits for the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtWork {
    /// Which of the session's commands it is.
    command: u32,
    /// When its client is told, on the reactor's clock.
    pub(super) tell_ns: u64,
}

impl FrontSession {
    /// Notes whether a command waits, and for how long.
    pub(super) fn note_work(&mut self, now_ns: u64) {
        let machine = &self.machine;
        let command = machine.is_at_work().then(|| machine.commands_given());
        if self.at_work.map(|it| it.command) != command {
            let tell_ns = now_ns + EVERY_NS;
            self.at_work = command.map(|command| AtWork { command, tell_ns });
        }
    }

    /// Tells the client how far its command is, if it has waited for long enough.
    pub(super) fn tell_progress(&mut self, now_ns: u64) {
        if let Some(at_work) = &mut self.at_work
            && now_ns >= at_work.tell_ns
        {
            at_work.tell_ns = now_ns + EVERY_NS;
            let reached = self.requester.as_ref().and_then(|it| it.reached());
            self.machine.handle_progress(reached);
        }
    }
}
