//! A reactor under test, with the patience to wait for what must come.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use reactor::uring::{Options, Uring};
use reactor::{Completion, Conn, Reactor};
use socket2::{Domain, Socket, Type};

pub const SECOND_NS: u64 = 1_000_000_000;

/// A reactor that listens on a free port.
pub struct Host {
    pub reactor: Uring,
    pub address: SocketAddr,
    pub completions: Vec<Completion>,
}

/// Small enough for tests to reach every bound.
pub fn options(rings: usize, files_per_ring: u32) -> Options {
    Options {
        rings,
        files_per_ring,
        accept_margin: files_per_ring / 4,
        batch: 16,
        receive_buffers: 4,
        receive_buffer_bytes: 64,
        ..Options::default()
    }
}

impl Host {
    pub fn new(rings: usize, files_per_ring: u32) -> Self {
        Self::with(options(rings, files_per_ring))
    }

    pub fn with(options: Options) -> Self {
        let listener = listen();
        let address = listener.local_addr().expect("bound");
        let reactor = Uring::new(options, vec![listener.into()]).expect("io_uring works here");
        Self {
            reactor,
            address,
            completions: Vec::new(),
        }
    }

    /// Turns until `found` picks something out of the completions, each of which it sees once.
    pub fn until<T>(&mut self, mut found: impl FnMut(&mut Uring, Completion) -> Option<T>) -> T {
        let deadline = self.reactor.now_ns() + 20 * SECOND_NS;
        loop {
            let mut value = None;
            while value.is_none() && !self.completions.is_empty() {
                value = found(&mut self.reactor, self.completions.remove(0));
            }
            if let Some(value) = value {
                return value;
            }
            assert!(self.reactor.now_ns() < deadline, "nothing came for 20 s");
            self.reactor.turn(Some(deadline), &mut self.completions);
        }
    }

    pub fn dial(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("listening");
        let patience = Some(Duration::from_secs(20));
        client.set_read_timeout(patience).expect("valid");
        client.set_write_timeout(patience).expect("valid");
        client
    }

    pub fn accepted(&mut self) -> Conn {
        self.until(|_, completion| match completion {
            Completion::Accepted { conn, .. } => Some(conn),
            _ => None,
        })
    }

    /// A client and its connection, which is read.
    pub fn accept(&mut self) -> (TcpStream, Conn) {
        let client = self.dial();
        let conn = self.accepted();
        self.reactor.read(conn, true);
        (client, conn)
    }

    /// `len` bytes or more from a connection; what others say meanwhile is lost.
    pub fn receive(&mut self, wanted: Conn, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.until(|_, completion| {
            if let Completion::Received { conn, data } = completion
                && conn == wanted
            {
                bytes.extend_from_slice(&data);
            }
            (bytes.len() >= len).then_some(())
        });
        bytes
    }

    /// What a connection says until it ends, and how it ends.
    pub fn receive_all(&mut self, wanted: Conn) -> (Vec<u8>, Option<i32>) {
        let mut bytes = Vec::new();
        let error = self.until(|_, completion| match completion {
            Completion::Received { conn, data } if conn == wanted => {
                bytes.extend_from_slice(&data);
                None
            }
            Completion::Hangup { conn, error } if conn == wanted => Some(error),
            _ => None,
        });
        (bytes, error)
    }

    /// Carries out what was asked for, without waiting.
    pub fn flush(&mut self) {
        self.reactor.turn(Some(0), &mut self.completions);
    }

    /// Turns for a while, whatever happens.
    pub fn pass(&mut self, ns: u64) {
        let until = self.reactor.now_ns() + ns;
        while self.reactor.now_ns() < until {
            self.reactor.turn(Some(until), &mut self.completions);
        }
    }
}

/// A listener whose backlog takes all that tests connect at once.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a free port");
    socket.listen(4096).expect("bound");
    socket.into()
}

/// Runs a test with one ring and with three.
pub fn both(test: impl Fn(usize)) {
    for rings in [1, 3] {
        test(rings);
    }
}

/// Writes all of `bytes` from a thread of its own, and then whatever `end` does.
pub fn write_from_thread(
    mut client: TcpStream,
    bytes: Vec<u8>,
    end: impl FnOnce(TcpStream) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        client.write_all(&bytes).expect("the host reads");
        end(client);
    })
}
