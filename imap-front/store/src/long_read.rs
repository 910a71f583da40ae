//! Reads that may take many pieces: searches, and reads of mailboxes whose index has to be built
//! before.

use std::sync::PoisonError;

use mail::{Reply, Request, Uid};

use crate::Error;
use crate::disk::Disk;
use crate::index_build::SharedBuild;
use crate::kv::{Kv, Unindexed};
use crate::logic::{self, Arranging, BUILD_ROWS, Counting, Findings, Made, Rules, Search};

/// How often a piece is begun again because what it needs in memory has changed.
const READS_MAX: usize = 4;
/// How many indexes are built for a read; they may be dropped again before they are used.
const BUILDS_MAX: usize = 4;

/// A read, and how far it has come. Nothing is held between its pieces.
pub struct LongRead {
    request: Request,
    reading: Reading,
}

impl LongRead {
    /// A read that was not begun yet.
    pub fn new(request: Request) -> Self {
        Self {
            request,
            reading: Reading::default(),
        }
    }

    /// What was asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The message that comes next, of a search or sorting that has begun to look at messages in
    /// order.
    pub fn reached(&self) -> Option<Uid> {
        let reading = &self.reading;
        match &reading.arranging {
            Some(arranging) => arranging.reached(),
            None => Some(reading.findings.next).filter(|next| next.0 > 0),
        }
    }

    /// How far it has come.
    pub(crate) fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }

    pub(crate) fn piece(&mut self, disk: &Disk, rules: &Rules) -> Result<Piece, Error> {
        self.reading.piece(disk, rules, &self.request)
    }
}

/// What a piece of a read has come to.
pub(crate) enum Piece {
    /// There is another.
    More,
    /// The answer; none if the request changes something.
    Done(Option<Reply>),
}

/// How far a read has come.
#[derive(Default)]
pub(crate) struct Reading {
    /// Of which opening of the database it has read.
    generation: Option<u64>,
    /// An index that it waits for.
    build: Option<SharedBuild>,
    builds: usize,
    /// Of a search.
    findings: Findings,
    /// Of SORT and THREAD.
    arranging: Option<Box<Arranging>>,
    /// Of a STATUS.
    counting: Counting,
}

impl Reading {
    /// Does a piece: some milliseconds of work.
    ///
    /// # Errors
    /// If the disk fails or a row is damaged.
    pub fn piece(&mut self, disk: &Disk, rules: &Rules, request: &Request) -> Result<Piece, Error> {
        let generation = Some(disk.view()?.generation());
        if self.generation != generation {
            // What was read before the database was opened again may not be there.
            let builds = self.builds;
            *self = Self {
                generation,
                builds,
                ..Self::default()
            };
        }
        if let Some(shared) = &self.build {
            let view = disk.view()?;
            // Another may be at it: then a part of the work is done meanwhile.
            let mut build = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let is_done = logic::build_some(&view, shared, &mut build, BUILD_ROWS)?;
            drop(build);
            if !is_done {
                return Ok(Piece::More);
            }
            self.build = None;
        }
        for _ in 0..READS_MAX {
            match self.read(&disk.view()?, rules, request) {
                Err(Error::Cold(id)) if self.builds < BUILDS_MAX => {
                    self.build = disk.indexes().build(id);
                    if self.build.is_some() {
                        self.builds += 1;
                        return Ok(Piece::More);
                    }
                }
                Err(Error::Moved) => {}
                Err(Error::Cold(_)) => break,
                outcome => return outcome,
            }
        }
        // Too busy, or too many mailboxes at once: this one is looked through.
        self.read(&Unindexed(&disk.view()?), rules, request)
    }

    /// Sort keys that had to be made, since this was asked last.
    pub fn take_made(&mut self) -> Vec<Made> {
        let arranging = self.arranging.as_deref_mut();
        arranging.map(Arranging::take_made).unwrap_or_default()
    }

    /// Does what needs no index that is not there.
    ///
    /// # Errors
    /// As above, and [`Error::Cold`] and [`Error::Moved`].
    pub fn read(&mut self, kv: &dyn Kv, rules: &Rules, request: &Request) -> Result<Piece, Error> {
        if let Request::Status {
            user,
            name,
            deleted_bytes: true,
        } = request
        {
            let counting = &mut self.counting;
            let reply = logic::status_with_deleted(kv, rules, (*user, name), counting)?;
            return Ok(reply.map_or(Piece::More, |reply| Piece::Done(Some(reply))));
        }
        let reply = match request {
            Request::Search {
                mailbox,
                program,
                since,
                recent_from,
            } => {
                let search = Search {
                    mailbox: *mailbox,
                    program,
                    recent_from: *recent_from,
                };
                search.go_on(kv, rules, *since, &mut self.findings)?
            }
            Request::Arrange {
                mailbox,
                program,
                how,
                since,
                recent_from,
            } => {
                let search = Search {
                    mailbox: *mailbox,
                    program,
                    recent_from: *recent_from,
                };
                let arranging = self
                    .arranging
                    .get_or_insert_with(|| Box::new(Arranging::new(how, rules)));
                arranging.go_on(kv, rules, &search, *since)?
            }
            _ => return logic::read(kv, rules, request).map(Piece::Done),
        };
        Ok(reply.map_or(Piece::More, |reply| Piece::Done(Some(reply))))
    }
}
