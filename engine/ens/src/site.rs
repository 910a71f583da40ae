//! A broker as one of a site: its thread on the bus, which is a NATS cluster.

#[path = "site/counters.rs"]
mod counters;
#[path = "site/driver.rs"]
mod driver;
#[path = "site/files.rs"]
mod files;
#[path = "site/following.rs"]
mod following;
#[path = "site/meeting.rs"]
mod meeting;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::Handle;
use nats::{Link, StartError, Waker};

pub use counters::{Counters, Figures};

use crate::broker::{BrokerMessage, SubscribingShards};
use crate::bus::Port;
use crate::handover::Kept;
use driver::SiteDriver;
use following::Following;
use meeting::Meeting;

/// The bus's thread knows by then that members here are for no other host any more.
const RETIRED_WITHIN: Duration = Duration::from_secs(3);
/// The longest name of a site: it is in all subjects, and those are bounded.
const SITE_BYTES_MAX: usize = 64;

/// Where the bus is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Servers of the cluster.
    pub urls: Vec<String>,
    /// The site: brokers with the same one hear each other. Up to 64 letters, digits, `-`, `_`.
    pub site: String,
    /// A file with an nkey's seed, or `user:password`.
    pub credentials: Option<PathBuf>,
    /// Certificates of authorities, PEM, one of which has signed the servers'.
    pub ca: Option<PathBuf>,
    /// The broker's certificate, its chain and its private key, PEM, for servers that want to see
    /// one.
    pub certificate: Option<PathBuf>,
    /// Bytes of events that may wait for the bus, and as many for the shards.
    pub waiting_bytes_max: usize,
}

/// Options of which files were read.
#[derive(Clone, Debug)]
pub struct Ready {
    nats: nats::Options,
    site: String,
    waiting_bytes_max: usize,
    warnings: Vec<String>,
}

impl Options {
    /// Reads the files that are named, while they can be reached.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(&self) -> Result<Ready, String> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let has_length = (1..=SITE_BYTES_MAX).contains(&self.site.len());
        if !has_length || !self.site.bytes().all(is_letter) {
            let site = &self.site;
            return Err(format!(
                "the site's name {site:?} is to be 1 to {SITE_BYTES_MAX} of A-Z a-z 0-9 - _"
            ));
        }
        let mut warnings = vec![];
        let credentials = self.credentials.as_deref();
        let credentials = credentials.map(|path| files::credentials(path, &mut warnings));
        let (ca, certificate) = (self.ca.as_deref(), self.certificate.as_deref());
        let tls = files::tls(ca, certificate, &mut warnings)?;
        let nats = nats::Options {
            urls: self.urls.clone(),
            name: format!("enpd {}", std::process::id()),
            credentials: credentials.transpose()?.unwrap_or_default(),
            tls,
            waiting_bytes_max: self.waiting_bytes_max,
        };
        nats.check().map_err(|error| error.to_string())?;
        Ok(Ready {
            nats,
            site: self.site.clone(),
            waiting_bytes_max: self.waiting_bytes_max,
            warnings,
        })
    }
}

impl Ready {
    /// What is not as it should be, and keeps nobody from joining.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// What is there of the bus before there are shards.
pub(crate) struct Joining {
    ready: Ready,
    waker: Waker,
    pub port: Arc<Port>,
}

/// A broker's thread on the bus.
pub struct Joined {
    leaving: Leaving,
    counters: Arc<Counters>,
}

/// Whether members of pools here are for no other host any more: as it is to be, and as it is.
#[derive(Default)]
struct Retiring {
    wanted: AtomicBool,
    done: Mutex<bool>,
    changed: Condvar,
}

/// The end of a broker's thread on the bus.
#[derive(Clone)]
pub struct Leaving {
    ending: Arc<AtomicBool>,
    retiring: Arc<Retiring>,
    following: Arc<Following>,
    waker: Waker,
    /// Until somebody waits for it.
    link: Arc<Mutex<Option<Link>>>,
}

impl Joining {
    pub fn new(ready: Ready) -> Self {
        for warning in ready.warnings() {
            tracing::warn!(target: "ens::site", site = ready.site, "{warning}");
        }
        let waker = Waker::default();
        let wakes = waker.clone();
        let port = Port::new(ready.waiting_bytes_max, Box::new(move || wakes.wake()));
        Self {
            ready,
            waker,
            port: Arc::new(port),
        }
    }

    /// Starts the thread, and waits until it knows which pools other hosts have, or that there is
    /// no bus: a second at most, and not if it follows another process, which knew them.
    /// Subscribers that came from that are told that they may have missed something.
    pub fn start(
        self,
        handle: Handle<(), BrokerMessage>,
        subscribing: Arc<SubscribingShards>,
        secret: [u8; 32],
        follows: bool,
    ) -> Result<Joined, StartError> {
        let ending = Arc::new(AtomicBool::new(false));
        let retiring = Arc::new(Retiring::default());
        let following = Arc::new(Following::default());
        let meeting = Arc::new(Meeting::default());
        let counters = Arc::new(Counters::default());
        let driver = SiteDriver::new(driver::Parts {
            site: self.ready.site,
            port: self.port,
            handle,
            subscribing,
            secret,
            ending: ending.clone(),
            retiring: retiring.clone(),
            following: following.clone(),
            meeting: meeting.clone(),
            counters: counters.clone(),
            room_bytes_max: self.ready.waiting_bytes_max,
            follows,
        });
        let link = Link::start(self.ready.nats, self.waker.clone(), driver)?;
        let leaving = Leaving {
            ending,
            retiring,
            following,
            waker: self.waker,
            link: Arc::new(Mutex::new(Some(link))),
        };
        if !follows {
            meeting.wait();
        }
        Ok(Joined { leaving, counters })
    }
}

impl Joined {
    /// What it counts, and whether it is there.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// By which another thread can end it.
    pub fn leaving(&self) -> &Leaving {
        &self.leaving
    }

    /// See [`Leaving::leave`].
    pub fn stop(self) {
        self.leaving.leave();
    }
}

impl Retiring {
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    fn is_done(&self) -> bool {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_done(&self, done: bool) {
        let mut was = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *was, done) != done {
            // A call of the kernel, whether anybody waits or not.
            self.changed.notify_all();
        }
    }

    fn wait(&self) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |done: &mut bool| !*done;
        let waited = self.changed.wait_timeout_while(done, RETIRED_WITHIN, waits);
        drop(waited);
    }
}

impl Leaving {
    /// From now on what comes for members of pools here goes to those of other hosts. What came
    /// before is with the shards.
    pub fn retire(&self) {
        self.retiring.wanted.store(true, Ordering::SeqCst);
        self.waker.wake();
        self.retiring.wait();
    }

    /// Members here are for all again.
    pub fn stay(&self) {
        self.retiring.wanted.store(false, Ordering::SeqCst);
        self.waker.wake();
    }

    /// What the process that follows is to know, once this one has retired: see
    /// [`Leaving::take_over`].
    pub fn hand_over(&self) -> Vec<u8> {
        self.following.left()
    }

    /// Knows what the process before has handed over of pools on other hosts. When this returns
    /// shards are told, and know it before they work on anything else, or the bus's thread is busy
    /// with something else.
    pub fn take_over(&self, known: &[u8]) {
        if !known.is_empty() {
            self.following.give(known);
            self.waker.wake();
            self.following.wait();
        }
    }

    /// Gives the bus what shards have published, tells the others that this broker ends, and waits
    /// until they have what it sent them, or ten seconds have passed; three if the bus is away, or
    /// those who have not say nothing.
    pub fn leave(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.waker.wake();
        let link = self
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(link) = link {
            link.join();
        }
    }
}

impl Kept for Leaving {
    fn let_go(&self) {
        self.retire();
    }

    fn undo(&self, let_go: bool) {
        if let_go {
            self.stay();
        }
    }

    /// The successor is another origin. Without this one's word others would think of a failure.
    fn end(&self) {
        self.leave();
    }
}
