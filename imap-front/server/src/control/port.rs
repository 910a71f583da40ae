//! The bounded queue from a data plane to its control plane.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use atomic_waker::AtomicWaker;
use crossbeam_queue::ArrayQueue;
use engine::event::SessionId;
use mail::Request;

use crate::front::Backend;

/// Requests under way from one shard: more than this many are refused, politely.
const REQUESTS_MAX: usize = 16 * 1024;

/// One direction of the seam between the planes of a core.
pub struct Port {
    queue: ArrayQueue<(SessionId, Request)>,
    waker: AtomicWaker,
    closed: AtomicBool,
}

impl Port {
    /// An empty port.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: ArrayQueue::new(REQUESTS_MAX),
            waker: AtomicWaker::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// The next request, or none once the port is closed and empty.
    pub async fn next(&self) -> Option<(SessionId, Request)> {
        poll_fn(|cx| {
            if let Some(item) = self.queue.pop() {
                return Poll::Ready(Some(item));
            }
            self.waker.register(cx.waker());
            // Once more: what came in before the waker was registered woke nobody.
            match self.queue.pop() {
                Some(item) => Poll::Ready(Some(item)),
                None if self.closed.load(Ordering::Acquire) => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Ends [`Port::next`] once the queue is empty.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The data plane's end of a [`Port`].
pub struct PortBackend {
    port: Arc<Port>,
}

impl PortBackend {
    /// A backend that asks through `port`.
    pub fn new(port: Arc<Port>) -> Self {
        Self { port }
    }
}

impl Backend for PortBackend {
    fn submit(&mut self, id: SessionId, request: Request) -> Result<(), Request> {
        self.port
            .queue
            .push((id, request))
            .map_err(|(_, request)| request)?;
        self.port.waker.wake();
        Ok(())
    }
}
