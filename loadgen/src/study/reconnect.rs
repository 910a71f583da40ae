//! Others reconnect, again and again, while idle sessions hear of deliveries: what a storm of
//! handshakes costs those who have nothing to do with it. The others have a thread of their own, so
//! that what they compute does not delay what is measured here.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use reactor::uring::{Options, Uring};

use super::returning::{Again, Returning};
use super::{Run, SECOND_NS, Singles, Study, StudyError};
use crate::client::{Client, ClientEvent, Credentials};
use crate::fleet::{Fleet, Heard};
use crate::measure::now_ns;

/// How it went.
#[derive(Clone, Debug)]
pub struct Reconnect {
    /// Sessions that reconnected, each as many times.
    pub sessions: usize,
    /// How many times.
    pub rounds: usize,
    /// From the first departure until the last was back.
    pub took_ns: u64,
    /// How often sessions had to come again.
    pub again: Again,
    /// What idle sessions heard meanwhile.
    pub singles: Singles,
    /// Server CPU until then, in microseconds.
    pub server_cpu_us: u64,
}

/// What the others tell.
enum Word {
    /// Everybody is there.
    Ready,
    /// All rounds are over: how long they took, and how often some had to come again.
    Done(u64, Again),
    Failed(StudyError),
}

impl Run<'_> {
    pub(super) fn reconnect(&mut self) -> Result<Reconnect, StudyError> {
        let study = self.study.clone();
        let rounds = study.reconnect_rounds;
        let (say, told) = channel();
        let (go, may_go) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let mark = over.clone();
        let thread = std::thread::Builder::new()
            .name("others".into())
            .spawn(move || {
                let word = others(&study, &say, &may_go);
                mark.store(true, Ordering::SeqCst);
                // Whoever listens has not gone: it waits for this.
                let _ = say.send(word);
            })
            .map_err(|error| StudyError::Io("can't start a thread", error))?;
        let study = self.study;
        let waited = self.wait_for(&told);
        let outcome = waited.and_then(|()| {
            self.settle();
            let before = study.cpu_us();
            let _ = go.send(());
            let singles = self.singles_until(&|| over.load(Ordering::SeqCst))?;
            Ok((singles, study.cpu_us() - before))
        });
        // Who waits for it leaves.
        drop(go);
        let word = told.recv();
        let _ = thread.join();
        let (singles, server_cpu_us) = outcome?;
        match word {
            Ok(Word::Done(took_ns, again)) => Ok(Reconnect {
                sessions: study.reconnecting,
                rounds,
                took_ns,
                again,
                singles,
                server_cpu_us,
            }),
            Ok(Word::Failed(error)) => Err(error),
            Ok(Word::Ready) | Err(_) => Err(StudyError::TimedOut("for those who reconnect")),
        }
    }

    /// Waits until the others are there.
    fn wait_for(&mut self, told: &Receiver<Word>) -> Result<(), StudyError> {
        loop {
            self.listen(now_ns() + SECOND_NS / 10);
            match told.try_recv() {
                Ok(Word::Ready) => return Ok(()),
                Ok(Word::Failed(error)) => return Err(error),
                Ok(Word::Done(..)) | Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    return Err(StudyError::TimedOut("for those who reconnect"));
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
        }
    }
}

/// The others' life: they come, and when they may, all leave and come back at once.
fn others(study: &Study, say: &Sender<Word>, may_go: &Receiver<()>) -> Word {
    let lived = || -> Result<Word, StudyError> {
        let mut others = Others::new(study)?;
        others.bring(study.setup_concurrency)?;
        let _ = say.send(Word::Ready);
        if may_go.recv().is_err() {
            return Ok(Word::Done(0, Again::default()));
        }
        let began = now_ns();
        for _ in 0..study.reconnect_rounds {
            for number in 0..study.reconnecting {
                others.fleet.leave(number);
            }
            others.fleet.flush();
            others.bring(study.reconnecting)?;
        }
        let took_ns = now_ns() - began;
        others.fleet.close_all();
        Ok(Word::Done(took_ns, others.again))
    };
    lived().unwrap_or_else(Word::Failed)
}

struct Others<'a> {
    study: &'a Study,
    fleet: Fleet<Uring>,
    credentials: Rc<Credentials>,
    again: Again,
}

impl<'a> Others<'a> {
    fn new(study: &'a Study) -> Result<Self, StudyError> {
        let options = Options {
            receive_buffers: 512,
            receive_buffer_bytes: 2048,
            seed: study.seed,
            ..Options::for_connections(2 * study.reconnecting + 64)
        };
        let failed = |error| StudyError::Io("can't set up io_uring", error);
        let reactor = Uring::new(options, vec![]).map_err(failed)?;
        Ok(Self {
            study,
            fleet: Fleet::new(reactor).with_tls(study.tls()?),
            credentials: Rc::new(study.credentials()),
            again: Again::default(),
        })
    }

    /// Has all connect, log in, select and idle, so many at a time; who fails comes again, later
    /// each time.
    fn bring(&mut self, concurrency: usize) -> Result<(), StudyError> {
        let study = self.study;
        let mut waiting: Vec<usize> = (0..study.reconnecting).rev().collect();
        let (mut started, mut idling, mut heard) = (0, 0, Vec::new());
        let (mut returning, mut last) = (Returning::new(study.seed), now_ns());
        while idling < study.reconnecting {
            while started - idling < concurrency
                && let Some(number) = returning.next(now_ns()).or_else(|| waiting.pop())
            {
                let user = (study.sessions + number) as u32;
                let client = Client::new(&self.credentials, user);
                self.fleet.add_session(number, client, study.imap);
                started += 1;
            }
            let until = returning.next_ns().unwrap_or(u64::MAX);
            let until = until.clamp(now_ns(), now_ns() + SECOND_NS / 10);
            self.fleet.turn(until, &mut heard);
            for (at, heard) in heard.drain(..) {
                match heard {
                    Heard::Session(number, ClientEvent::Idling) => {
                        (idling, last) = (idling + 1, at);
                        returning.is_back(number);
                    }
                    Heard::Session(number, ClientEvent::Failed(why)) => {
                        self.again.count(why);
                        started -= 1;
                        self.fleet.leave(number);
                        returning.failed(number, at);
                    }
                    _ => {}
                }
            }
            if now_ns() - last > study.patience_ns() {
                let why = self
                    .again
                    .reasons
                    .keys()
                    .next()
                    .filter(|_| returning.len() > 0);
                return Err(match why {
                    Some(why) => StudyError::Refused(format!("those who reconnect: {why}")),
                    None => StudyError::TimedOut("for those who reconnect"),
                });
            }
        }
        Ok(())
    }
}
