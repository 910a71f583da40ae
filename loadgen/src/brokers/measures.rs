//! What is measured of a broker.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Broker;
use super::crowd::Crowd;
use super::dialect::{Dialect, MARK, TOPIC};
use super::listener::Listener;
use super::natives;
use crate::measure::{cpu_us, histogram, memory, now_ns, record};

/// Nothing takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two events to the one subscriber.
const GAP: Duration = Duration::from_millis(1);
/// Bytes of a payload.
pub(crate) const PAYLOAD_BYTES: usize = 32;
/// Bytes written at a time when publishing without pause.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Subscribers of the crowd.
    pub subscribers: usize,
    /// Events published to the crowd.
    pub rounds: usize,
    /// Events published to the one subscriber.
    pub singles: usize,
    /// Events published without pause and without a subscriber; a tenth of them with ten.
    pub flood: usize,
}

/// What was found.
pub struct Found {
    /// The broker's name.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// From before the publisher's write to the arrival at the one subscriber.
    pub single: Histogram<u64>,
    /// From before the publisher's write to the crowd's first arrival.
    pub first: Histogram<u64>,
    /// And to its last.
    pub last: Histogram<u64>,
    /// CPU of the broker for each notification of the crowd, in microseconds.
    pub cpu_us: f64,
    /// Memory of the broker for each quiet subscriber, in bytes.
    pub memory_bytes: f64,
    /// Events a second that it takes from one publisher without a subscriber.
    pub alone_per_s: f64,
    /// And with ten subscribers, until all of them have all.
    pub with_ten_per_s: f64,
}

/// Measures a broker.
///
/// # Errors
/// If a connection fails, or notifications are missing.
pub fn measure(broker: &Broker, plan: &Plan) -> io::Result<Found> {
    let single = if broker.spins {
        single_spinning(broker, plan)?
    } else {
        single(broker, broker, plan.singles)?
    };
    let mut publisher = greeted(broker)?;
    let pids = [broker.pid];
    let before = memory(&pids)?;
    let mut crowd = Crowd::gather(broker, plan.subscribers)?;
    let grown = memory(&pids)?.saturating_sub(before);
    let event = broker.dialect.publish(TOPIC, PAYLOAD_BYTES);
    let [mut first, mut last] = [histogram(), histogram()];
    let marks = plan.subscribers as u64;
    // What is allocated once is not the crowd's daily bread.
    crowd.receive(1, PATIENCE, || publisher.write_all(&event))?;
    crowd.settle()?;
    let cpu_before = cpu_us(&pids)?;
    for _ in 0..plan.rounds {
        let mut begun = 0;
        let came = crowd.receive(1, PATIENCE, || {
            begun = now_ns();
            publisher.write_all(&event)
        })?;
        record(&mut first, came.first_ns.saturating_sub(begun));
        record(&mut last, came.last_ns.saturating_sub(begun));
        drain(&mut publisher)?;
        std::thread::sleep(Duration::from_millis(50));
    }
    let spent = cpu_us(&pids)?.saturating_sub(cpu_before);
    drop(crowd);
    let alone_per_s = flood(broker, &mut publisher, plan.flood)?;
    let with_ten_per_s = with_ten(broker, &mut publisher, plan.flood / 10)?;
    Ok(Found {
        name: broker.name.clone(),
        dialect: broker.dialect,
        single,
        first,
        last,
        cpu_us: spent as f64 / (marks * plan.rounds.max(1) as u64) as f64,
        memory_bytes: grown as f64 / plan.subscribers.max(1) as f64,
        alone_per_s,
        with_ten_per_s,
    })
}

pub(crate) fn greeted(broker: &Broker) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(broker.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&broker.dialect.hello())?;
    answered(broker, &mut stream)?;
    Ok(stream)
}

/// Takes what has come.
pub(crate) fn drain(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
    stream.set_nonblocking(false)
}

/// Waits until everything that was written has been taken.
pub(crate) fn answered(broker: &Broker, stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&broker.dialect.question())?;
    let answer = broker.dialect.answer();
    let mut said = Vec::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    while !said.windows(answer.len()).any(|part| part == answer) {
        // Only the end can hold a part of the answer.
        said.drain(..said.len().saturating_sub(answer.len()));
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => said.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(())
}

/// One event at a time to a subscriber in another process, at the same broker or another one.
pub(crate) fn single(at: &Broker, from: &Broker, count: usize) -> io::Result<Histogram<u64>> {
    let listener = Listener::start(at, count)?;
    let mut publisher = greeted(from)?;
    // Its subscription is in force by then.
    std::thread::sleep(Duration::from_millis(500));
    let event = from.dialect.publish(TOPIC, PAYLOAD_BYTES);
    let mut begun = Vec::with_capacity(count);
    for _ in 0..count {
        begun.push(now_ns());
        publisher.write_all(&event)?;
        std::thread::sleep(GAP);
        drain(&mut publisher)?;
    }
    Ok(between(begun, listener.times()?))
}

/// The same by the client library of NATS on both sides.
pub(crate) fn single_native(
    at: &Broker,
    from: &Broker,
    count: usize,
) -> io::Result<Histogram<u64>> {
    let listener = Listener::start_with(at, count, &["--library"])?;
    std::thread::sleep(Duration::from_millis(500));
    let payload = vec![b'x'; PAYLOAD_BYTES].into();
    let begun = natives::publish(from.address, payload, count, GAP)?;
    Ok(between(begun, listener.times()?))
}

fn between(begun: Vec<u64>, came: Vec<u64>) -> Histogram<u64> {
    let mut times = histogram();
    for (begun, came) in begun.into_iter().zip(came) {
        record(&mut times, came.saturating_sub(begun));
    }
    times
}

/// One event at a time to a subscriber in the publisher's own process, which spins until it has
/// come: with the broker that is two that spin, and a small machine has no third core.
fn single_spinning(broker: &Broker, plan: &Plan) -> io::Result<Histogram<u64>> {
    let mut publisher = greeted(broker)?;
    let mut subscriber = greeted(broker)?;
    subscriber.write_all(&broker.dialect.subscribe(TOPIC))?;
    answered(broker, &mut subscriber)?;
    subscriber.set_nonblocking(true)?;
    let event = broker.dialect.publish(TOPIC, PAYLOAD_BYTES);
    let mut times = histogram();
    let mut buffer = [0; 4096];
    for _ in 0..plan.singles {
        let begun = now_ns();
        publisher.write_all(&event)?;
        loop {
            match subscriber.read(&mut buffer) {
                Ok(count) if buffer[..count].contains(&MARK) => break,
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        record(&mut times, now_ns().saturating_sub(begun));
        let pause = Instant::now() + GAP;
        while Instant::now() < pause {
            std::hint::spin_loop();
        }
        drain(&mut publisher)?;
    }
    Ok(times)
}

/// Events a second, from the first write until the broker has taken the last.
fn flood(broker: &Broker, publisher: &mut TcpStream, count: usize) -> io::Result<f64> {
    let begun = Instant::now();
    write_events(broker, publisher, count)?;
    answered(broker, publisher)?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// The same, until ten subscribers have all of them.
fn with_ten(broker: &Broker, publisher: &mut TcpStream, count: usize) -> io::Result<f64> {
    let mut crowd = Crowd::gather(broker, 10)?;
    let mut begun = Instant::now();
    crowd.receive(count as u64, PATIENCE, || {
        begun = Instant::now();
        write_events(broker, publisher, count)
    })?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Writes events without pause, and takes what the broker answers to each.
fn write_events(broker: &Broker, publisher: &mut TcpStream, count: usize) -> io::Result<()> {
    let event = broker.dialect.publish(TOPIC, PAYLOAD_BYTES);
    let in_chunk = (CHUNK_BYTES / event.len()).max(1);
    let chunk = event.repeat(in_chunk);
    let mut left = count;
    while left > 0 {
        let now = left.min(in_chunk);
        publisher.write_all(&chunk[..now * event.len()])?;
        left -= now;
        drain(publisher)?;
    }
    Ok(())
}
