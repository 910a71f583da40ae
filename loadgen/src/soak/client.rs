//! An IMAP client that does everything a mail reader does: commands in, bytes out; bytes in, events
//! out. It keeps its view of the mailbox and notices what may not come when it comes.

use super::command::Command;
use super::faults::{Kind, Wrong};
use super::reading::{CommandResult, Said, Status, read};
use super::view::{Known, View};

/// What a client heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoakEvent {
    /// The server greeted: LOGIN may be sent.
    Greeted,
    /// EXISTS, outside of SELECT, with so many more messages.
    Grown(usize),
    /// EXPUNGE, of what was known as this.
    Expunged(Known),
    /// FETCH.
    Fetched {
        /// What was known before.
        before: Known,
        /// The message as it is known now.
        now: Known,
        /// The number in its name, if that was asked for.
        id: Option<u64>,
    },
    /// SEARCH, with the UIDs of what was found as far as they are known, and how many there were.
    Found(Vec<u32>, usize),
    /// STATUS.
    Status(Status),
    /// The mailbox's UIDVALIDITY.
    UidValidity(u32),
    /// The mailbox's UIDNEXT.
    UidNext(u32),
    /// It idles now.
    Idling,
    /// A command has ended, IDLE too.
    Ended {
        /// Which.
        command: Command,
        /// How.
        answer: CommandResult,
        /// UIDVALIDITY and UID of what was appended.
        appended: Option<(u32, u32)>,
        /// The reply, for the reader of a fault.
        text: String,
    },
    /// BYE without LOGOUT.
    Bye(String),
    /// What may not be.
    Wrong(Wrong),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    /// No command is under way.
    Ready,
    Busy(Command),
    Idling,
    /// DONE was sent.
    Ending,
    /// It said what can't be read; nothing after that counts.
    Failed,
}

/// The machine.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    selected: bool,
    tag: u32,
    view: View,
    input: Vec<u8>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            phase: Phase::Greeting,
            selected: false,
            tag: 0,
            view: View::default(),
            input: Vec::new(),
        }
    }
}

impl Client {
    /// Whether a mailbox is selected.
    pub fn is_selected(&self) -> bool {
        self.selected
    }

    /// Whether it idles: DONE ends that.
    pub fn is_idling(&self) -> bool {
        self.phase == Phase::Idling
    }

    /// The mailbox as it was told.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The line that logs in.
    pub fn login(&mut self, user: &str, password: &str) -> Vec<u8> {
        self.begin(Command::Login);
        format!("t{} LOGIN {user} {password}\r\n", self.tag).into_bytes()
    }

    /// The bytes of any other command. No command may be under way.
    pub fn send(&mut self, command: Command) -> Vec<u8> {
        self.begin(command);
        match command {
            Command::Select => self.selected = false,
            Command::Store(store) if store.silent => self.view.forget_flags(store.number as usize),
            _ => {}
        }
        command.line(self.tag).into_bytes()
    }

    fn begin(&mut self, command: Command) {
        assert_eq!(self.phase, Phase::Ready, "one command at a time");
        self.phase = Phase::Busy(command);
        self.tag += 1;
    }

    /// Ends IDLE.
    pub fn done(&mut self) -> Vec<u8> {
        assert_eq!(self.phase, Phase::Idling, "only IDLE is ended by DONE");
        self.phase = Phase::Ending;
        b"DONE\r\n".to_vec()
    }

    /// Takes bytes from the server, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8], events: &mut Vec<SoakEvent>) {
        if self.phase == Phase::Failed {
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut taken = 0;
        while taken < input.len() {
            match read(&input[taken..], self.phase == Phase::Greeting) {
                Ok(Some((length, said))) => {
                    taken += length;
                    if let Err(wrong) = self.handle(said, events) {
                        events.push(SoakEvent::Wrong(wrong));
                    }
                }
                Ok(None) => break,
                Err(wrong) => {
                    self.phase = Phase::Failed;
                    return events.push(SoakEvent::Wrong(wrong));
                }
            }
        }
        if taken < input.len() {
            // A client that waits owns as little as a parked session.
            input.drain(..taken);
            self.input = input;
        }
    }

    fn handle(&mut self, said: Said, events: &mut Vec<SoakEvent>) -> Result<(), Wrong> {
        let heard = match said {
            Said::Greeting(true) => {
                self.phase = Phase::Ready;
                SoakEvent::Greeted
            }
            Said::Greeting(false) => SoakEvent::Bye("no service in the greeting".into()),
            Said::Exists(count) if self.phase == Phase::Busy(Command::Select) => {
                self.view.open(count as usize);
                return Ok(());
            }
            Said::Exists(count) => SoakEvent::Grown(self.view.exists(count as usize)?),
            Said::Expunge(number) => {
                let known = self.view.expunge(number as usize)?;
                events.push(SoakEvent::Expunged(known));
                return self.may_expunge(number);
            }
            Said::Fetch {
                number,
                uid,
                flags,
                id,
            } => {
                let place = number as usize;
                let before = self.view.fetch(place, uid, flags)?;
                let now = self.view.messages()[place - 1];
                SoakEvent::Fetched { before, now, id }
            }
            Said::Search(found) => self.found(&found)?,
            Said::Status(status) => SoakEvent::Status(status),
            Said::UidValidity(number) => SoakEvent::UidValidity(number),
            Said::UidNext(number) => SoakEvent::UidNext(number),
            Said::Continue if self.phase == Phase::Busy(Command::Idle) => {
                self.phase = Phase::Idling;
                SoakEvent::Idling
            }
            Said::Continue => {
                let text = format!("a continuation while {:?}", self.phase);
                return Err(Wrong::new(Kind::Syntax, text));
            }
            Said::Tagged {
                tag,
                answer,
                appended,
                text,
            } => {
                let command = self.ended(tag, answer, &text)?;
                SoakEvent::Ended {
                    command,
                    answer,
                    appended,
                    text,
                }
            }
            Said::Bye(_) if self.phase == Phase::Busy(Command::Logout) => return Ok(()),
            Said::Bye(text) => SoakEvent::Bye(text),
            Said::Other => return Ok(()),
        };
        events.push(heard);
        Ok(())
    }

    /// EXPUNGE needs a command under way, and one that numbers no messages.
    fn may_expunge(&self, number: u32) -> Result<(), Wrong> {
        let allowed = match self.phase {
            Phase::Idling | Phase::Ending => true,
            Phase::Busy(command) => command.allows_expunge(),
            Phase::Greeting | Phase::Ready | Phase::Failed => false,
        };
        if allowed {
            return Ok(());
        }
        let text = format!("{number} EXPUNGE while {:?}", self.phase);
        Err(Wrong::new(Kind::Expunge, text))
    }

    fn found(&self, found: &[u32]) -> Result<SoakEvent, Wrong> {
        let by_uid = match self.phase {
            Phase::Busy(Command::Search { by_uid, .. }) => by_uid,
            phase => {
                let text = format!("SEARCH results while {phase:?}");
                return Err(Wrong::new(Kind::Syntax, text));
            }
        };
        let mut sorted = found.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < found.len() {
            let text = format!("SEARCH found a message twice: {found:?}");
            return Err(Wrong::new(Kind::Doubled, text));
        }
        if by_uid {
            return Ok(SoakEvent::Found(sorted, found.len()));
        }
        let messages = self.view.messages();
        let uid = |number: &u32| messages.get((*number as usize).wrapping_sub(1));
        let uids: Option<Vec<u32>> = sorted
            .iter()
            .map(|number| uid(number).map(|k| k.uid))
            .collect();
        let Some(mut uids) = uids else {
            let text = format!("SEARCH found {found:?} of {} messages", messages.len());
            return Err(Wrong::new(Kind::Count, text));
        };
        uids.retain(|uid| *uid != 0);
        Ok(SoakEvent::Found(uids, found.len()))
    }

    fn ended(&mut self, tag: u32, answer: CommandResult, text: &str) -> Result<Command, Wrong> {
        let command = match self.phase {
            Phase::Busy(command) => command,
            Phase::Ending => Command::Idle,
            phase => {
                let text = format!("{text} (tag {tag}) while {phase:?}");
                return Err(Wrong::new(Kind::Syntax, text));
            }
        };
        if tag != self.tag {
            let text = format!("{text} with tag {tag}, expected {}", self.tag);
            return Err(Wrong::new(Kind::Syntax, text));
        }
        self.phase = Phase::Ready;
        match command {
            Command::Select => self.selected = answer == CommandResult::Ok,
            Command::Close | Command::Unselect if answer == CommandResult::Ok => {
                self.selected = false;
                self.view.close();
            }
            _ => {}
        }
        Ok(command)
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
