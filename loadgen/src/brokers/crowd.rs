//! Many connections to a broker, on a thread a core, by epoll: the same receivers for every broker.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use super::Broker;
use super::dialect::{Dialect, MARK, TOPIC};
use crate::measure::now_ns;

/// Events taken at a time.
const EVENTS: usize = 1024;
/// When nothing has come for so long, nothing comes any more.
const QUIET: Duration = Duration::from_millis(300);

/// Subscribers to the topic, dealt out to receivers.
pub struct Crowd {
    receivers: Vec<Receiver>,
}

/// The subscribers of one thread.
struct Receiver {
    dialect: Dialect,
    streams: Vec<TcpStream>,
    epoll: OwnedFd,
    buffer: Vec<u8>,
}

/// How long receivers take until they wait.
const SETTLE: Duration = Duration::from_millis(20);

/// What came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Came {
    /// Payloads.
    pub marks: u64,
    /// When the first of them had come, on the clock of [`now_ns`]; 0 if none had.
    pub first_ns: u64,
    /// When the last had.
    pub last_ns: u64,
}

impl Crowd {
    /// Connects and subscribes `count` times, and waits until all is quiet.
    ///
    /// # Errors
    /// If a connection fails or ends.
    pub fn gather(broker: &Broker, count: usize) -> io::Result<Self> {
        Self::gather_at(&[broker], count)
    }

    /// The same, by turns at several brokers that speak the same.
    ///
    /// # Errors
    /// If a connection fails or ends.
    pub fn gather_at(brokers: &[&Broker], count: usize) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut receivers = Vec::new();
        for number in 0..threads.min(count) {
            let share = (count - number).div_ceil(threads);
            receivers.push(Receiver::gather(brokers, share)?);
        }
        let mut crowd = Self { receivers };
        crowd.settle()?;
        Ok(crowd)
    }

    /// Reads until nothing comes any more.
    ///
    /// # Errors
    /// If a connection ends.
    pub fn settle(&mut self) -> io::Result<()> {
        let mut came = Came::default();
        for receiver in &mut self.receivers {
            while receiver.turn(QUIET, &mut came)? {}
        }
        Ok(())
    }

    /// Reads until each subscriber has got so many payloads; the caller's own work begins when all
    /// receivers wait.
    ///
    /// # Errors
    /// If a connection ends, or they have not come in time, or the caller's work fails.
    pub fn receive(
        &mut self,
        each: u64,
        within: Duration,
        work: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Came> {
        std::thread::scope(|scope| {
            let receive = |receiver: &'_ mut Receiver| receiver.receive(each, within);
            let threads: Vec<_> = self
                .receivers
                .iter_mut()
                .map(|receiver| scope.spawn(move || receive(receiver)))
                .collect();
            std::thread::sleep(SETTLE);
            work()?;
            let mut all = Came::default();
            for thread in threads {
                let came = thread.join().expect("it does not panic")?;
                all.marks += came.marks;
                all.last_ns = all.last_ns.max(came.last_ns);
                all.first_ns = match all.first_ns {
                    0 => came.first_ns,
                    first => first.min(came.first_ns),
                };
            }
            Ok(all)
        })
    }
}

impl Receiver {
    fn gather(brokers: &[&Broker], count: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let dialect = brokers[0].dialect;
        let mut receiver = Self {
            dialect,
            streams: Vec::with_capacity(count),
            epoll,
            buffer: vec![0; 64 * 1024],
        };
        let first_words = [dialect.hello(), dialect.subscribe(TOPIC)].concat();
        for number in 0..count {
            let mut stream = TcpStream::connect(brokers[number % brokers.len()].address)?;
            stream.set_nodelay(true)?;
            stream.write_all(&first_words)?;
            stream.set_nonblocking(true)?;
            epoll::add(
                &receiver.epoll,
                &stream,
                epoll::EventData::new_u64(number as u64),
                epoll::EventFlags::IN,
            )?;
            receiver.streams.push(stream);
        }
        Ok(receiver)
    }

    fn receive(&mut self, each: u64, within: Duration) -> io::Result<Came> {
        let marks = each * self.streams.len() as u64;
        let until = Instant::now() + within;
        let mut came = Came::default();
        while came.marks < marks {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = format!("{} of {marks} notifications came", came.marks);
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            self.turn(left, &mut came)?;
        }
        Ok(came)
    }

    /// Waits for something and reads it; whether anything came.
    fn turn(&mut self, within: Duration, came: &mut Came) -> io::Result<bool> {
        let mut events = Vec::with_capacity(EVENTS);
        let within = Timespec::try_from(within).map_err(io::Error::other)?;
        let space = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, space, Some(&within)) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        for event in &events {
            let stream = &mut self.streams[event.data.u64() as usize];
            match stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let said = &self.buffer[..count];
                    let marks = said.iter().filter(|&&byte| byte == MARK).count() as u64;
                    if marks > 0 {
                        came.last_ns = now_ns();
                        if came.marks == 0 {
                            came.first_ns = came.last_ns;
                        }
                        came.marks += marks;
                    } else if let Some(answer) = self.dialect.duty(said) {
                        stream.write_all(answer)?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(!events.is_empty())
    }
}
