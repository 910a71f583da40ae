//! What a site costs, each beside what it is held against in the same run.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ens::frame::Frame;
use hdrhistogram::Histogram;

use super::findings::{Bar, Found, Row, Sizes};
use super::hosts::{Alone, Hosts, Service};
use super::kills;
use crate::brokers::Broker;
use crate::brokers::crowd::Crowd;
use crate::brokers::dialect::{Dialect, MARK, TOPIC};
use crate::brokers::measures::{
    PATIENCE, PAYLOAD_BYTES, answered, drain, greeted, single, single_native,
};
use crate::measure::{histogram, memory, memory_with_files, now_ns, record};

/// Bytes of a payload when as many events as possible cross.
const CROSSING_BYTES: usize = 200;
/// Events that may be on their way then.
const WINDOW: u64 = 20_000;
/// Events written at a time.
const CHUNK: usize = 100;
/// Subscriptions of one client.
const OF_CLIENT: usize = 100_000;

/// A broker, or a server, of a host.
fn on(hosts: &Hosts, host: usize, service: Service) -> io::Result<Broker> {
    let (dialect, address) = match service {
        Service::Broker => (Dialect::Enp, hosts.broker_address(host)),
        Service::Nats => (Dialect::Nats, hosts.nats_address(host)),
    };
    let pid = hosts.pid(host, service);
    Ok(Broker {
        name: service.to_string(),
        dialect,
        address,
        pid: pid.ok_or_else(|| Error::other(format!("{service} of {host} does not run")))?,
        spins: false,
    })
}

fn median(times: &Histogram<u64>) -> f64 {
    times.value_at_percentile(50.0) as f64
}

/// From a publisher at one host to a subscriber at another: by brokers, by servers and their client
/// library, and by servers and bare sockets, as the brokers' clients have them.
pub fn latency(hosts: &Hosts, sizes: &Sizes, found: &mut Found) -> io::Result<()> {
    let mut times = [histogram(), histogram(), histogram()];
    let [ours, nats, bare] = &mut times;
    for _ in 0..sizes.turns {
        let pair = |service| Ok::<_, Error>((on(hosts, 1, service)?, on(hosts, 0, service)?));
        let (at, from) = pair(Service::Broker)?;
        let some = single(&at, &from, sizes.singles)?;
        ours.add(some).map_err(Error::other)?;
        let (at, from) = pair(Service::Nats)?;
        let some = single_native(&at, &from, sizes.singles)?;
        nats.add(some).map_err(Error::other)?;
        let some = single(&at, &from, sizes.singles)?;
        bare.add(some).map_err(Error::other)?;
    }
    let ratio = median(ours) / median(nats);
    for (name, percent) in [("p50", 50.0), ("p99", 99.0)] {
        let at = |times: &Histogram<u64>| times.value_at_percentile(percent) as f64;
        let measure = format!("publish → subscriber of another host, {name}");
        found.rows.push(Row {
            nats: Some(at(nats)),
            bar: (name == "p50").then_some(Bar::AtMost(ratio, 1.6, "× NATS")),
            ..Row::new(&measure, at(ours), "µs")
        });
        found.rows.push(Row {
            nats: Some(at(bare)),
            ..Row::new(&format!("{measure}, beside bare sockets"), at(ours), "µs")
        });
    }
    let names = ["", ", NATS alone", ", NATS alone by bare sockets"];
    for (name, times) in names.into_iter().zip(times) {
        found.times.push((format!("to another host{name}"), times));
    }
    Ok(())
}

/// One event to very many subscribers, of all hosts or all of one.
pub fn crowds(hosts: &Hosts, sizes: &Sizes, found: &mut Found) -> io::Result<()> {
    let all: Vec<Broker> = (0..hosts.count())
        .map(|host| on(hosts, host, Service::Broker))
        .collect::<io::Result<_>>()?;
    let spread: Vec<&Broker> = all.iter().collect();
    let mut times = [histogram(), histogram()];
    for _ in 0..sizes.turns {
        for (times, brokers) in times.iter_mut().zip([&spread[..], &spread[..1]]) {
            let mut publisher = greeted(&all[0])?;
            let mut crowd = Crowd::gather_at(brokers, sizes.subscribers)?;
            let event = Dialect::Enp.publish(TOPIC, PAYLOAD_BYTES);
            // What is subscribed to is known everywhere by then, and memory is there.
            std::thread::sleep(Duration::from_secs(1));
            crowd.receive(1, PATIENCE, || publisher.write_all(&event))?;
            crowd.settle()?;
            for _ in 0..sizes.rounds {
                let mut begun = 0;
                let came = crowd.receive(1, PATIENCE, || {
                    begun = now_ns();
                    publisher.write_all(&event)
                })?;
                record(times, came.last_ns.saturating_sub(begun));
                drain(&mut publisher)?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    let [three, one] = times;
    let ratio = median(&three) / median(&one);
    found.rows.push(Row {
        measure: "publish → last subscriber, of three hosts, p50".into(),
        value: median(&three),
        unit: "µs",
        nats: None,
        bar: Some(Bar::AtMost(ratio, 1.3, "× all on one host")),
    });
    found.rows.push(Row::new(
        "publish → last subscriber, all of one host, p50",
        median(&one),
        "µs",
    ));
    found
        .times
        .push(("last of the crowd, three hosts".into(), three));
    found
        .times
        .push(("last of the crowd, one host".into(), one));
    Ok(())
}

/// Events a second from one host to a subscriber of another, none of which is lost.
fn across(from: &Broker, at: &Broker, count: usize) -> io::Result<f64> {
    let mut subscriber = greeted(at)?;
    subscriber.write_all(&at.dialect.subscribe(TOPIC))?;
    answered(at, &mut subscriber)?;
    let mut publisher = greeted(from)?;
    std::thread::sleep(Duration::from_secs(1));
    let event = from.dialect.publish(TOPIC, CROSSING_BYTES);
    let came = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let hears = scope.spawn(|| {
            let mut buffer = vec![0; 256 * 1024];
            while came.load(Ordering::Relaxed) < count as u64 {
                let length = subscriber.read(&mut buffer)?;
                if length == 0 {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof));
                }
                let said = &buffer[..length];
                let marks = memchr::memchr_iter(MARK, said).count() as u64;
                came.fetch_add(marks, Ordering::Relaxed);
                if let Some(answer) = at.dialect.duty(said) {
                    subscriber.write_all(answer)?;
                }
            }
            Ok(())
        });
        let chunk = event.repeat(CHUNK);
        let mut sent = 0;
        while sent < count {
            if (sent as u64).saturating_sub(came.load(Ordering::Relaxed)) > WINDOW {
                if hears.is_finished() {
                    break;
                }
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            let now = CHUNK.min(count - sent);
            publisher.write_all(&chunk[..now * event.len()])?;
            sent += now;
            drain(&mut publisher)?;
        }
        hears.join().expect("it does not panic")
    })?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// See `across`; by brokers and by servers alone.
pub fn flood(hosts: &Hosts, sizes: &Sizes, found: &mut Found) -> io::Result<()> {
    let mut best = [0.0f64; 2];
    for _ in 0..sizes.turns {
        for (best, service) in best.iter_mut().zip([Service::Broker, Service::Nats]) {
            let (from, at) = (on(hosts, 0, service)?, on(hosts, 1, service)?);
            *best = best.max(across(&from, &at, sizes.flood)?);
        }
    }
    let [ours, nats] = best;
    found.rows.push(Row {
        measure: "events a second to another host, 200 B".into(),
        value: ours,
        unit: "/s",
        nats: Some(nats),
        bar: Some(Bar::AtLeast(ours, 100_000.0, "/s")),
    });
    Ok(())
}

/// Very many subscriptions of one broker, and what its server knows of them.
pub fn subscriptions(hosts: &Hosts, sizes: &Sizes, found: &mut Found) -> io::Result<()> {
    let host = hosts.count() - 1;
    let broker = on(hosts, host, Service::Broker)?;
    let server = on(hosts, host, Service::Nats)?;
    let before = memory(&[broker.pid])?;
    let mut clients = vec![];
    let begun = Instant::now();
    for first in (0..sizes.subscriptions).step_by(OF_CLIENT) {
        let mut client = greeted(&broker)?;
        let end = sizes.subscriptions.min(first + OF_CLIENT);
        for some in (first..end).collect::<Vec<_>>().chunks(1000) {
            let mut said = bytes::BytesMut::new();
            for number in some {
                Frame::Subscribe {
                    id: (number - first) as u32 + 1,
                    scope: None,
                    pattern: &format!("enp://127.0.0.1/store/user{number}"),
                }
                .encode(&mut said);
            }
            client.write_all(&said)?;
            drain(&mut client)?;
        }
        answered(&broker, &mut client)?;
        clients.push(client);
    }
    let took = begun.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(2));
    let connections = monitored(hosts.monitor_address(host), "/connz")?;
    let at_server = numbers(&connections, "\"subscriptions\":")
        .into_iter()
        .sum();
    let bytes = memory_with_files(&[server.pid])? as f64;
    let count = sizes.subscriptions as f64;
    let own = memory(&[broker.pid])?.saturating_sub(before) as f64;
    found
        .rows
        .push(Row::new("subscriptions of one broker", count, ""));
    found
        .rows
        .push(Row::new("subscriptions a second", count / took, "/s"));
    found
        .rows
        .push(Row::new("memory of enpd a subscription", own / count, "B"));
    found.rows.push(Row {
        bar: Some(Bar::AtMost(at_server, 1024.0, "")),
        ..Row::new("subscriptions at NATS", at_server, "")
    });
    found.rows.push(Row {
        bar: Some(Bar::AtMost(bytes, 50e6, "B")),
        ..Row::new("memory of nats-server", bytes, "B")
    });
    Ok(())
}

/// What a server says of itself.
fn monitored(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// The numbers that follow a name.
fn numbers(text: &str, name: &str) -> Vec<f64> {
    let number = |rest: &str| {
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    };
    text.split(name).skip(1).filter_map(number).collect()
}

/// Servers are killed, one after the other.
pub fn heal(hosts: &mut Hosts, found: &mut Found) -> io::Result<()> {
    let mut worst = Duration::ZERO;
    let (mut missed, mut untold) = (0, 0);
    for server in 0..hosts.count() {
        let killed = kills::one(hosts, server)?;
        worst = worst.max(killed.longest);
        missed += killed.missed;
        untold += killed.untold;
    }
    let seconds = worst.as_secs_f64();
    found.rows.push(Row {
        bar: Some(Bar::AtMost(seconds, 3.0, "s")),
        ..Row::new("a server killed: longest silence", seconds, "s")
    });
    found.rows.push(Row::new(
        "a server killed: events told as missed",
        missed as f64,
        "",
    ));
    found.rows.push(Row {
        bar: Some(Bar::AtMost(untold as f64, 0.0, "")),
        ..Row::new(
            "a server killed: events missed and not told",
            untold as f64,
            "",
        )
    });
    Ok(())
}

/// A broker without a site, beside another program that is one.
pub fn alone(now: &Alone, before: &Alone, sizes: &Sizes, found: &mut Found) -> io::Result<()> {
    let brokers = [now, before].map(|it| Broker {
        name: "enpd".into(),
        dialect: Dialect::Enp,
        address: it.address(),
        pid: it.pid(),
        spins: false,
    });
    let mut times = [histogram(), histogram()];
    // Each is first as often as the other, and what else the machine does meets both.
    let short = (sizes.singles / 4).max(1);
    for turn in 0..sizes.turns * 8 {
        for which in [turn % 2, 1 - turn % 2] {
            let some = single(&brokers[which], &brokers[which], short)?;
            times[which].add(some).map_err(Error::other)?;
        }
    }
    let mut bytes = [0.0; 2];
    for (bytes, broker) in bytes.iter_mut().zip(&brokers) {
        // What is allocated once is there with the first half.
        let half = sizes.subscribers.div_ceil(2);
        let first = Crowd::gather(broker, half)?;
        let before = memory(&[broker.pid])?;
        let second = Crowd::gather(broker, half)?;
        let grown = memory(&[broker.pid])?.saturating_sub(before);
        *bytes = grown as f64 / half as f64;
        drop((first, second));
    }
    let speed = median(&times[1]) / median(&times[0]);
    found.rows.push(Row {
        bar: Some(Bar::AtLeast(speed, 0.99, "× as fast as before")),
        ..Row::new(
            "without a site: publish → subscriber, p50",
            median(&times[0]),
            "µs",
        )
    });
    found.rows.push(Row {
        // Pages are counted, which are larger than any difference.
        bar: Some(Bar::AtMost(bytes[0] / bytes[1], 1.005, "× of before")),
        ..Row::new("without a site: memory a quiet subscriber", bytes[0], "B")
    });
    let [now, before] = times;
    found.times.push(("without a site".into(), now));
    found.times.push(("without a site, before".into(), before));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_are_found_by_their_name() {
        let said = "{\"subscriptions\": 3,\n \"x\": 9, \"subscriptions\":12}";
        assert_eq!(numbers(said, "\"subscriptions\":"), [3.0, 12.0]);
    }
}
