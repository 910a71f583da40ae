//! Handing all connections over to another process: what `imapd` has besides them, which is the
//! store, the administrator's tools, and who may still be connected. How both processes speak is in
//! [`ens::handover`].
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for others, by the machine's clock"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use admin::Base;
use admin::tools::ask::{AskError, connect};
pub use ens::handover::{Coming, Giving, Hello, Kept, Shards, Successor, TakingError, owns_names};
use ens::handover::{put_parts, take_part};
use store::{OpenError, Recovery, Store};
use zeroize::Zeroizing;

use crate::certificates::Certificates;
use crate::control::{Authenticator, MailHandle};
use crate::lines::WRITTEN_WITHIN;
use crate::notify::Queue;
use crate::{announce, panics};

/// What connections are written down as. To be raised with every change of what `hand_over` writes
/// in `tls`, `engine`, `proto`, `ens` and here, and of what both processes say: another one is
/// refused before anything happens.
pub const FORMAT: u64 = 10;

/// Names of listening sockets that are no ports.
pub(crate) const CONTROL: &str = "control";
pub(crate) const LMTP_SOCKET: &str = "lmtp-socket";

/// How long plug-ins may take to hear of the last commits.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// How long the administrator's tools may take to have what they are asking at the moment.
const TOOLS_WITHIN: Duration = Duration::from_secs(5);
/// How long the store may take to write to tables what a successor would have to read from its
/// journal.
const WRITTEN_OUT_WITHIN: Duration = Duration::from_secs(5);
/// Another process may be about to let the store go.
const STORE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the keys of tickets, of which there are two.
const TICKETS_BYTES_MAX: usize = 128;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Asks the running server of a base directory for all it has, for so many shards, and those of the
/// broker if there is one.
///
/// # Errors
/// If none runs, or it says no.
pub fn ask(base: &Base, shards: &[u16]) -> Result<Successor, AskError> {
    let stream = connect(base)?;
    Successor::ask(stream, FORMAT, shards).map_err(|error| match error {
        TakingError::Broken(error) => AskError::Broken(error),
        other => AskError::Refused(other.to_string()),
    })
}

/// Lets the administrator's tools ask, one question after the other of each, unless a handover is
/// under way.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    /// Questions that are being answered.
    within: usize,
}

/// A question that is being answered.
pub struct Within<'a>(&'a Gate);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.state().within -= 1;
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it is closed.
    pub fn enter(&self) -> Within<'_> {
        let mut state = self.state();
        while state.is_closed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.within += 1;
        Within(self)
    }

    /// Closes it, and waits for those within; gives how many there still are.
    pub fn close(&self, within: Duration) -> usize {
        let until = Instant::now() + within;
        let mut state = self.state();
        state.is_closed = true;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.within == 0 || left.is_zero() {
                return state.within;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets all in.
    pub fn open(&self) {
        self.state().is_closed = false;
        self.changed.notify_all();
    }
}

/// The user directory is looked at again and again, but not while there is no store.
#[derive(Default)]
pub struct Looks {
    are_put_off: Mutex<bool>,
    count: AtomicU64,
}

impl Looks {
    fn are_put_off(&self) -> MutexGuard<'_, bool> {
        self.are_put_off
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, unless that is put off.
    pub fn look<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        let are_put_off = self.are_put_off();
        let seen = (!*are_put_off).then(look);
        self.count.fetch_add(1, Ordering::SeqCst);
        seen
    }

    /// Nobody looks any more, or all may again.
    fn put_off(&self, on: bool) {
        *self.are_put_off() = on;
    }

    /// Waits until a look that has begun after now is over. False if there is none in time.
    fn wait_for_one(&self, within: Duration) -> bool {
        // One may be under way.
        let enough = self.count.load(Ordering::SeqCst) + 2;
        let until = Instant::now() + within;
        while self.count.load(Ordering::SeqCst) < enough {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

/// What a server knows that makes it cheap for clients to come back, and that never lies on a disk.
pub struct Memory {
    /// Passwords that verified lately.
    authenticator: Arc<Authenticator>,
    /// The keys of TLS tickets.
    tls: Arc<tls::Config>,
    /// Pools on other hosts, if there are any.
    site: Option<ens::site::Leaving>,
}

impl Memory {
    /// Of this server.
    pub fn of(
        authenticator: &Arc<Authenticator>,
        certificates: &Certificates,
        broker: Option<&ens::server::Running>,
    ) -> Self {
        Self {
            authenticator: authenticator.clone(),
            tls: certificates.config(),
            site: broker.and_then(|broker| broker.leaving()).cloned(),
        }
    }

    /// The passwords and the pools, each behind its length in four bytes, then the tickets.
    fn hand_over(&self) -> Zeroizing<Vec<u8>> {
        let remembered = self.authenticator.remembered();
        let pools = self.site.as_ref().map(ens::site::Leaving::hand_over);
        let parts = [&remembered[..], &pools.unwrap_or_default()];
        let mut output = put_parts(&parts, TICKETS_BYTES_MAX);
        self.tls.hand_over_tickets(&mut output);
        output
    }

    /// Knows what a predecessor has handed over, as far as it can be read.
    pub fn take_over(&self, input: &[u8]) {
        let parts = take_part(input).and_then(|(remembered, rest)| {
            let (pools, tickets) = take_part(rest)?;
            Some((remembered, pools, tickets))
        });
        let taken = parts.is_some_and(|(remembered, pools, tickets)| {
            self.site.as_ref().inspect(|site| site.take_over(pools));
            let known = self.authenticator.remember_again(remembered);
            self.tls.take_tickets(tickets) && known
        });
        if !taken {
            tracing::warn!("logins and TLS tickets of before can't be read, and cost more once");
        }
    }
}

/// What a server has besides connections.
pub struct Belongings {
    /// The shards of mail.
    pub handle: MailHandle,
    /// The store.
    pub store: Store,
    /// What plug-ins are still to be told. They read the store of it.
    pub notifications: Option<Queue>,
    /// Who may ask.
    pub gate: Arc<Gate>,
    /// Looks at the user directory.
    pub looks: Arc<Looks>,
    /// What it knows of logins and tickets.
    pub memory: Memory,
    /// The other hosts' brokers, if one here has joined them.
    pub site: Option<ens::site::Leaving>,
}

impl Kept for Belongings {
    /// Tools end their questions. The successor has read the user directory by now: whoever was
    /// locked before is told so by this process, whoever is later by that one.
    fn turn_to(&self, within: Duration) -> Result<(), String> {
        if !self.looks.wait_for_one(within) {
            return Err("the user directory can't be looked at".into());
        }
        // Without it the successor only takes longer to open the store.
        if !self.store.write_out(WRITTEN_OUT_WITHIN) {
            tracing::warn!(
                "the store can't write its tables in time: nobody will be answered for longer"
            );
        }
        let tools = self.gate.close(TOOLS_WITHIN);
        if tools > 0 {
            tracing::warn!("{tools} administrator's tools take long, and are cut off");
        }
        Ok(())
    }

    fn let_go(&self) {
        self.looks.put_off(true);
        // What was committed is announced before this returns.
        self.store.close();
        if let Some(queue) = &self.notifications {
            // It is only some plug-in's if that is too slow.
            let _ = queue.pass().recv_timeout(TOLD_WITHIN);
        }
        self.store.let_go();
        if let Some(site) = &self.site {
            site.retire();
        }
    }

    fn memory(&self) -> Zeroizing<Vec<u8>> {
        self.memory.hand_over()
    }

    fn undo(&self, let_go: bool) {
        if let_go {
            self.take_store_back();
            if let Some(site) = &self.site {
                site.stay();
            }
        }
        self.looks.put_off(false);
        self.gate.open();
    }

    fn end(&self) {
        if let Some(site) = &self.site {
            site.leave();
        }
        // What sessions did until now is on its way to the log.
        std::thread::sleep(WRITTEN_WITHIN);
    }
}

impl Belongings {
    fn take_store_back(&self) {
        let until = Instant::now() + ens::handover::BACK_WITHIN;
        loop {
            let handle = self.handle.clone();
            let announcer = Box::new(move |news: Vec<mail::News>| {
                announce::announce(&handle, news);
            });
            match self.store.take_again(announcer) {
                Ok(_) => return,
                // The successor ends when it hears that it gets nothing, or is ended.
                Err(OpenError::InUse { .. }) if Instant::now() < until => {}
                Err(error) => {
                    tracing::error!("the store can't be taken back: {error}");
                    panics::end_process("store");
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Opens the store that the predecessor has closed; its files may be closed a little later.
pub(crate) fn take_store(
    store: &Store,
    announcer: impl Fn() -> store::Announcer,
) -> Result<Recovery, OpenError> {
    let until = Instant::now() + STORE_WITHIN;
    loop {
        match store.take_again(announcer()) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => {
                std::thread::sleep(LOOK_EVERY);
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_a_gate_that_is_closed() {
        let gate = Arc::new(Gate::default());
        let within = gate.enter();
        assert_eq!(gate.close(Duration::from_millis(10)), 1);
        drop(within);
        assert_eq!(gate.close(Duration::ZERO), 0);
        let other = gate.clone();
        let waiting = std::thread::Builder::new();
        let waiting = waiting.spawn(move || drop(other.enter())).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        gate.open();
        waiting.join().unwrap();
    }

    #[test]
    fn looks_are_put_off_and_not_forgotten() {
        let looks = Looks::default();
        assert_eq!(looks.look(|| 1), Some(1));
        looks.put_off(true);
        assert_eq!(looks.look(|| 1), None);
        looks.put_off(false);
        assert_eq!(looks.look(|| 1), Some(1));
    }

    #[test]
    fn a_look_that_was_under_way_is_not_enough() {
        let looks = Arc::new(Looks::default());
        assert!(!looks.wait_for_one(Duration::from_millis(10)));
        let (other, until) = (looks.clone(), Instant::now() + Duration::from_secs(10));
        let looking = std::thread::Builder::new();
        let looking = looking.spawn(move || {
            while Arc::strong_count(&other) > 1 && Instant::now() < until {
                other.look(|| ());
            }
        });
        assert!(looks.wait_for_one(Duration::from_secs(10)));
        drop(looks);
        looking.unwrap().join().unwrap();
    }
}
