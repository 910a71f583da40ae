//! The thread.

use std::thread::{Builder, JoinHandle};

use crate::client;
use crate::driver::Driver;
use crate::options::{Options, StartError};
use crate::waker::Waker;

/// A connection at work.
pub struct Link {
    thread: JoinHandle<()>,
}

impl Link {
    /// Starts its thread. Whether anybody can be reached is told the driver.
    ///
    /// # Errors
    /// If an address is none, or there are no more threads.
    pub fn start(options: Options, waker: Waker, driver: impl Driver) -> Result<Self, StartError> {
        let addresses = options.addresses()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let run = move || {
            // Between a task and the one that it wakes nobody asks the kernel for news; between a
            // task and what is waited for here somebody would.
            let serving = runtime.spawn(client::run(options, addresses, waker, driver));
            if let Err(error) = runtime.block_on(serving)
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        };
        let thread = Builder::new().name("nats".into()).spawn(run)?;
        Ok(Self { thread })
    }

    /// Waits until the driver is over and what it has ordered is sent, or a second has passed.
    pub fn join(self) {
        // A panic was told by its hook.
        let _ = self.thread.join();
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}
