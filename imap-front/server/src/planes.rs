//! The threads of each core: a data plane on io_uring, a control plane on glommio.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::event::ShardId;
use engine::{Limits, Shard};
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};
use proto::imap::SessionConfig;
use reactor::uring::{Options, Uring};

use crate::control::{self, Control, MailHandle, Port, PortBackend};
use crate::front::{Cleartext, Front, Timeouts};

/// Registered memory of a control plane: it does no direct I/O.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Blocking threads a control plane, for passwords and for searches through bodies.
const BLOCKING_THREADS: usize = 2;
/// How long one task may run before others get a turn.
const PREEMPT: Duration = Duration::from_millis(1);

/// How long a wake from another thread may be overlooked: an executor that goes to sleep at that
/// moment may miss it, and looks again at its next turn.
const HEARTBEAT: Duration = Duration::from_millis(1);

/// What a data plane is made of.
pub struct DataPlane {
    /// Which shard it is.
    pub id: ShardId,
    /// Where clients come in.
    pub listener: TcpListener,
    /// The rings.
    pub options: Options,
    /// The engine's bounds.
    pub limits: Limits,
    /// The mesh.
    pub handle: MailHandle,
    /// What sessions have in common.
    pub session: Arc<SessionConfig>,
    /// How long clients may be quiet.
    pub timeouts: Timeouts,
    /// From where passwords may come.
    pub cleartext: Cleartext,
    /// Where requests go.
    pub port: Arc<Port>,
}

impl DataPlane {
    /// Starts its thread; returns once the rings are there.
    ///
    /// # Errors
    /// If the kernel refuses the rings.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        let (sender, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("data-{}", self.id.0))
            .spawn(move || self.run(&sender))?;
        match started.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("a data plane ended before it began")),
        }
    }

    fn run(self, started: &mpsc::Sender<std::io::Result<()>>) {
        let uring = match Uring::new(self.options, vec![self.listener.into()]) {
            Ok(uring) => uring,
            Err(error) => return drop(started.send(Err(error))),
        };
        let backend = PortBackend::new(self.port);
        let front = Front::new(self.session, self.timeouts, self.cleartext, backend);
        let mut shard = Shard::new(self.id, uring, front, self.limits, self.handle);
        // The starter waits; it can't be gone.
        let _ = started.send(Ok(()));
        shard.run();
    }
}

/// Keeps an executor from sleeping for longer than [`HEARTBEAT`].
async fn heartbeat() {
    loop {
        glommio::timer::sleep(HEARTBEAT).await;
    }
}

/// Starts a control plane: it serves the port, and the future that `also` makes.
///
/// # Errors
/// If the executor can't be made.
pub fn start_control<F: Future<Output = ()> + 'static>(
    number: u16,
    control: Control,
    also: impl FnOnce() -> F + Send + 'static,
) -> std::io::Result<ExecutorJoinHandle<()>> {
    LocalExecutorBuilder::new(Placement::Unbound)
        .name(&format!("control-{number}"))
        .io_memory(IO_MEMORY_BYTES)
        .preempt_timer(PREEMPT)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
        .spawn(move || async move {
            glommio::spawn_local(heartbeat()).detach();
            let also = glommio::spawn_local(also());
            control::serve(control).await;
            also.await;
        })
        .map_err(|error| std::io::Error::other(error.to_string()))
}
