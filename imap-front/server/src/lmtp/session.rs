//! One connection's session: the machine and what is under way for it.

use std::net::IpAddr;
use std::sync::Arc;

use engine::event::SessionId;
use mail::reply::Appended;
use mail::request::{Body, Target};
use mail::{Refusal, Reply, Request, SpoolId};
use proto::lmtp::{Delivery, Ending, Lookup, Recipient, Session, Undelivered};

use super::Settings;
use super::account::Account;
use crate::front::Requester;
use crate::refusals::Refused;

/// An active LMTP session.
pub struct LmtpSession {
    pub(super) machine: Session,
    /// Domains whose addresses are ours; none means any.
    domains: Arc<[String]>,
    /// It is believed about who submitted a message.
    trusted: bool,
    /// What the store or the user directory is to answer.
    asked: Asked,
    /// What that takes, in bytes.
    asked_bytes: usize,
    /// The message's pieces so far.
    spool: Option<SpoolId>,
    /// What the log is told.
    pub(super) account: Account,
    pub(super) reading: bool,
    /// What it kept when that was last counted, in bytes.
    pub(super) held_bytes: usize,
    /// When the client was last heard or answered, on the reactor's clock.
    pub(super) heard_ns: u64,
    /// When the transaction that is under way has to be over.
    pub(super) over_by_ns: Option<u64>,
    /// Who it is to others, while a transaction is under way.
    requester: Option<Arc<Requester>>,
}

/// A request under way: one at a time.
enum Asked {
    Nothing,
    Lookup,
    /// A piece is being kept.
    Piece,
    /// The last piece is being kept; then the message goes to these.
    Last(Vec<Target>, Option<Box<str>>),
    /// To so many targets; of pieces that were kept, if there are.
    Deliver(usize, Option<SpoolId>),
    Discard,
}

/// What follows an answer.
pub(super) struct Next(Request, Asked);

impl LmtpSession {
    /// A session that begins with its greeting.
    pub(super) fn new(
        settings: &Settings,
        peer: Option<Box<str>>,
        (starttls, trusted): (bool, bool),
        now_ns: u64,
    ) -> Self {
        let machine = Session::new(settings.session.clone(), peer).with_starttls(starttls);
        Self::with_machine(machine, settings, (trusted, now_ns))
    }

    /// One whose machine is there.
    pub(super) fn with_machine(
        machine: Session,
        settings: &Settings,
        (trusted, now_ns): (bool, u64),
    ) -> Self {
        Self {
            machine,
            domains: settings.domains.clone(),
            trusted,
            asked: Asked::Nothing,
            asked_bytes: 0,
            spool: None,
            account: Account::default(),
            reading: true,
            held_bytes: 0,
            heard_ns: now_ns,
            over_by_ns: None,
            requester: None,
        }
    }

    /// Whether an answer is awaited: until then the machine does nothing.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.asked, Asked::Nothing)
    }

    /// Whether the store's answer to a message, or to a piece of one, is awaited.
    pub(super) fn is_kept_waiting(&self) -> bool {
        !matches!(self.asked, Asked::Nothing | Asked::Lookup)
    }

    /// What it keeps, with what the store has not answered yet, in bytes.
    pub(super) fn holds(&self) -> usize {
        self.machine.held_bytes() + self.asked_bytes
    }

    /// Whether it waits for its client, without a transaction under way.
    pub(super) fn is_quiet(&self) -> bool {
        !self.is_waiting() && !self.machine.is_in_transaction()
    }

    /// What it is at, for the log.
    pub(crate) fn doing(&self) -> &'static str {
        match self.asked {
            Asked::Nothing => "LMTP input",
            Asked::Lookup => "LMTP Recipient",
            Asked::Piece | Asked::Last(..) => "LMTP Spool",
            Asked::Deliver(..) => "LMTP Deliver",
            Asked::Discard => "LMTP Discard",
        }
    }

    /// Who it is to others.
    pub(super) fn requester(&mut self, id: SessionId) -> Arc<Requester> {
        let new = || Arc::new(Requester::new(id, None, None));
        self.requester.get_or_insert_with(new).clone()
    }

    /// Without a transaction nobody has to know it.
    pub(super) fn forget_requester(&mut self) {
        self.requester = None;
    }

    /// Notes what is asked, and gives it.
    pub(super) fn ask(&mut self, Next(request, asked): Next) -> Request {
        self.asked = asked;
        self.asked_bytes = request.bytes();
        request
    }

    /// A user whose name is the whole address comes before one whose name is its local part. None
    /// if the domain is not ours.
    pub(super) fn lookup(&self, recipient: &Recipient) -> Option<Next> {
        let domain = recipient.domain.as_deref().map(str::to_lowercase);
        if let Some(domain) = &domain
            && !self.domains.is_empty()
            && !self.domains.contains(domain)
        {
            return None;
        }
        let whole = domain.map(|domain| format!("{}@{domain}", recipient.user).into());
        let local = recipient.user.clone();
        Some(Next(Request::Recipient { whole, local }, Asked::Lookup))
    }

    /// Gives a piece of a message to the store.
    pub(super) fn keep(&mut self, chunk: bytes::Bytes) -> Next {
        let spool = self.spool;
        if spool.is_none() {
            self.account.text_begins(&chunk);
        }
        Next(Request::Spool { spool, chunk }, Asked::Piece)
    }

    /// Forgets the message's pieces, if there are any.
    pub(super) fn discard(&mut self) -> Option<Next> {
        let spool = self.spool.take()?;
        Some(Next(Request::Discard { spool }, Asked::Discard))
    }

    /// Delivers a message; the last of several pieces is kept first.
    pub(super) fn deliver(&self, delivery: Delivery) -> Next {
        let (targets, chunk) = (delivery.targets, delivery.last);
        // RFC 4954 §5: of others it is as if they had said nothing.
        let submitter = delivery.submitter.filter(|_| self.trusted);
        match self.spool {
            Some(_) => {
                let spool = self.spool;
                Next(
                    Request::Spool { spool, chunk },
                    Asked::Last(targets, submitter),
                )
            }
            None => deliver(targets, Body::Inline(chunk), submitter),
        }
    }

    /// The answer to what was asked, and what is asked next.
    pub(super) fn take(&mut self, reply: Reply) -> Option<Next> {
        self.asked_bytes = 0;
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => {
                unexpected(&reply);
                None
            }
            Asked::Lookup => {
                let answer = match reply {
                    Reply::Recipient(Some(account)) => Lookup::Found(account),
                    Reply::Recipient(None) => {
                        self.account.refused("unknown-user");
                        Lookup::Unknown
                    }
                    _ => {
                        self.account.refused("unavailable");
                        Lookup::Unavailable
                    }
                };
                self.machine.handle_lookup(answer);
                None
            }
            Asked::Piece => {
                match kept(reply) {
                    Ok(spool) => self.spool = Some(spool),
                    Err(refusal) => self.machine.handle_chunk_failed(refusal),
                }
                None
            }
            Asked::Last(targets, submitter) => match kept(reply) {
                Ok(spool) => {
                    self.spool = None;
                    Some(deliver(targets, Body::Spooled(spool), submitter))
                }
                Err(refusal) => {
                    self.delivered(&vec![Err(refusal); targets.len()]);
                    self.discard()
                }
            },
            Asked::Deliver(count, spool) => {
                let results = match reply {
                    Reply::Delivered(results) => results,
                    Reply::Refused(refusal) => vec![Err(refusal); count],
                    other => vec![Err(unexpected(&other)); count],
                };
                self.delivered(&results);
                // The store may not have looked at them. If it has, there is nothing to forget.
                self.spool = spool.filter(|_| results.iter().all(Result::is_err));
                self.discard()
            }
            Asked::Discard => None,
        }
    }

    /// A message was refused as it came.
    pub(super) fn undelivered(&mut self, message: Undelivered, now_ns: u64) {
        let results = vec![Err(message.refusal.clone()); self.machine.targets().len()];
        self.account.undelivered(message, now_ns);
        self.account.delivered(&self.machine, &results);
    }

    /// The client's address, if it has one.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.machine.peer().and_then(|peer| peer.parse().ok())
    }

    /// Why the server ends it, if its client would have gone on.
    pub(super) fn refused(&self) -> Option<Refused> {
        Some(match self.machine.ending()? {
            Ending::Errors => Refused::Errors,
            Ending::Overdue => Refused::Overdue,
            Ending::NoMemory => Refused::Memory,
            Ending::BehindStartTls => Refused::BehindStartTls,
            Ending::Http => Refused::Http,
        })
    }

    fn delivered(&mut self, results: &[Result<Appended, Refusal>]) {
        self.account.delivered(&self.machine, results);
        self.machine.handle_delivered(results);
        // The client may have begun the next one already.
        self.over_by_ns = None;
    }

    /// The connection is gone. What is to be forgotten of its message, if anything.
    pub(super) fn close(&mut self) -> Option<Request> {
        if let Some(requester) = &self.requester {
            requester.leave();
        }
        self.discard().map(|Next(request, _)| request)
    }
}

fn deliver(targets: Vec<Target>, body: Body, submitter: Option<Box<str>>) -> Next {
    let spool = match &body {
        Body::Spooled(spool) => Some(*spool),
        Body::Inline(_) => None,
    };
    let asked = Asked::Deliver(targets.len(), spool);
    let request = Request::Deliver {
        targets,
        body,
        submitter,
    };
    Next(request, asked)
}

fn kept(reply: Reply) -> Result<SpoolId, Refusal> {
    match reply {
        Reply::Spooled(spool) => Ok(spool),
        Reply::Refused(refusal) => Err(refusal),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(reply: &Reply) -> Refusal {
    tracing::error!("lmtp: the store gave an answer that fits no question: {reply:?}");
    Refusal::Unavailable("the store gave another answer than expected".into())
}
