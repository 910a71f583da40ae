//! The connections that are open, so that they are bounded and can be told of the end.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;

/// The open connections.
pub(super) struct Open {
    streams: Mutex<Slab<Arc<TcpStream>>>,
    one_left: Condvar,
    max: usize,
    stopping: AtomicBool,
}

/// A connection's place among the open ones, for as long as it lives.
pub(super) struct Admission<'a> {
    open: &'a Open,
    key: usize,
}

impl Open {
    /// None is open yet; at most `max` will be at a time.
    pub fn new(max: usize) -> Self {
        Self {
            streams: Mutex::new(Slab::new()),
            one_left: Condvar::new(),
            max,
            stopping: AtomicBool::new(false),
        }
    }

    /// Whether the end has come: nothing more is read from clients.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// A place for a connection, unless there are too many or the end has come.
    pub fn enter(&self, stream: &Arc<TcpStream>) -> Option<Admission<'_>> {
        let mut streams = self.streams();
        if streams.len() >= self.max || self.is_stopping() {
            return None;
        }
        let key = streams.insert(stream.clone());
        Some(Admission { open: self, key })
    }

    /// Ends the waiting of all connections for their clients and waits until they have left. Those
    /// that are still there after `within` are cut; gives how many.
    pub fn stop(&self, within: Duration) -> usize {
        let streams = self.streams();
        self.stopping.store(true, Ordering::SeqCst);
        cut(&streams, Shutdown::Read);
        let (streams, _) = self
            .one_left
            .wait_timeout_while(streams, within, |streams| !streams.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        cut(&streams, Shutdown::Both);
        streams.len()
    }

    fn streams(&self) -> MutexGuard<'_, Slab<Arc<TcpStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(streams: &Slab<Arc<TcpStream>>, how: Shutdown) {
    for (_, stream) in streams {
        // Fails only if the client has left already.
        let _ = stream.shutdown(how);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.open.streams().remove(self.key);
        self.open.one_left.notify_all();
    }
}
