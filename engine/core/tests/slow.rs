//! Clients that take slowly what they are owed, or nothing, over real sockets.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::event::{SessionId, ShardId};
use engine::protocol::{Active, Context, NeverParks};
use engine::stats::{Counter, Reason};
use engine::{Handle, Limits, Shard};
use reactor::uring::{Options, Uring};

const SECOND_NS: u64 = 1_000_000_000;
const ANSWER_BYTES: usize = 8 << 20;

/// Answers each `b` with many bytes and each `s` with a hundred.
struct Answers {
    large: Bytes,
    small: Bytes,
}

impl Active for Answers {
    type Session = ();
    type Fact = ();
    type Reply = ();

    fn open(&mut self, _: &mut Context<'_, ()>, _: u8) {}
    fn handle_input(&mut self, (): &mut (), cx: &mut Context<'_, ()>, bytes: &[u8]) {
        for byte in bytes {
            cx.send(match byte {
                b'b' => self.large.clone(),
                _ => self.small.clone(),
            });
        }
    }
    fn handle_reply(&mut self, (): &mut (), _: &mut Context<'_, ()>, (): ()) {}
    fn handle_watching(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_stale(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_drained(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_deadline(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_shutdown(&mut self, (): &mut (), cx: &mut Context<'_, ()>) {
        cx.close();
    }
    fn handle_closed(&mut self, (): &mut (), _: SessionId) {}
}

impl NeverParks for Answers {}

struct Server {
    handle: Handle<(), ()>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handle = engine::mesh(1, &limits);
        let given = handle.clone();
        let run = move || {
            let options = Options {
                receive_buffer_bytes: 1024,
                ..Options::for_connections(100)
            };
            let uring = Uring::new(options, vec![listener.into()]).unwrap();
            let answers = Answers {
                large: vec![b'x'; ANSWER_BYTES].into(),
                small: vec![b'x'; 100].into(),
            };
            Shard::new(ShardId(0), uring, answers, limits, given).run();
        };
        Self {
            handle,
            thread: Some(std::thread::spawn(run)),
            address,
        }
    }

    fn connect(&self, ask: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(ask).unwrap();
        stream
    }

    fn count(&self, counter: Counter) -> u64 {
        self.handle.stats(ShardId(0)).counter(counter)
    }

    fn cut(&self) -> u64 {
        self.handle.stats(ShardId(0)).dropped(Reason::WriteTimeout)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn limits() -> Limits {
    Limits {
        write_timeout_ns: 2 * SECOND_NS,
        outbox_bytes_max: 2 * ANSWER_BYTES,
        ..Limits::default()
    }
}

#[test]
fn who_reads_slowly_is_not_cut_and_who_reads_nothing_is() {
    let server = Server::start(limits());
    let deaf = server.connect(b"b");
    let mut slow = server.connect(b"b");
    let begun = Instant::now();
    let mut piece = vec![0; 16 << 10];
    let mut taken = 0;
    while begun.elapsed() < Duration::from_secs(8) {
        slow.read_exact(&mut piece).unwrap();
        taken += piece.len();
        std::thread::sleep(Duration::from_millis(100));
    }
    // Less than the third of the kernel's buffer that it must have free before there is room.
    assert!(taken < ANSWER_BYTES / 2, "{taken} were read");
    assert_eq!(server.cut(), 1, "the one that is deaf");
    drop(deaf);
    let mut rest = vec![0; ANSWER_BYTES - taken];
    slow.read_exact(&mut rest).unwrap();
}

#[test]
fn who_does_not_take_answers_is_not_asked_for_more_questions() {
    let server = Server::start(limits());
    let mut asks = server.connect(b"b");
    asks.set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // 25 MiB of answers, if all questions were read.
    let questions = vec![b's'; 256 << 10];
    let _ = asks.write_all(&questions);
    std::thread::sleep(Duration::from_millis(300));
    let owed = server.count(Counter::Owed) as usize;
    assert!(owed < ANSWER_BYTES + (4 << 20), "{owed} wait");
    // Once it reads, all are answered.
    let all = ANSWER_BYTES + 100 * questions.len();
    let mut heard = 0;
    let mut chunk = vec![0; 1 << 20];
    while heard < all {
        let taken = asks.read(&mut chunk).unwrap();
        assert!(taken > 0, "closed after {heard} of {all}");
        heard += taken;
    }
}
