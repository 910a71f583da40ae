//! What clients can make the server keep: little for each before a password, the documented bounds
//! for each and for all behind it.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::site::{Server, Site, Talk};

/// What a connection may cost before login, input and output together, with what the allocator
/// keeps besides: two answers' pieces of 1 KiB, up to 16 KiB of input, and the session.
const EACH_BYTES_MAX: u64 = 64 * 1024;

/// What the server takes once it works at all: stacks, what the allocator holds in hand for each
/// thread.
const WORKING_BYTES: u64 = 4 << 20;

/// Connects so often, and writes all the time as much as the server takes, and reads nothing.
fn deaf(server: &Server, count: usize, text: &[u8], for_s: u64) -> Vec<TcpStream> {
    let connect = |_| {
        let stream = TcpStream::connect(server.imap).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..count).map(connect).collect();
    let end = Instant::now() + Duration::from_secs(for_s);
    while Instant::now() < end {
        for stream in &mut streams {
            match stream.write(text) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Cut: that is in order too.
                Err(_) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    streams
}

#[test]
fn clients_that_ask_before_login_and_never_read_cost_little() {
    let site = Site::bare("service.imap.maxprelogin = 0\n");
    let server = site.start();
    let before = server.resident_bytes();
    let streams = deaf(&server, 300, &b"a CAPABILITY\r\n".repeat(1000), 4);
    let more = server.resident_bytes().saturating_sub(before);
    let max = WORKING_BYTES + 300 * EACH_BYTES_MAX;
    assert!(more < max, "{more} bytes for 300 clients");
    Talk::to(server.imap).ask_after_greeting("a LOGIN fred fred");
    drop(streams);
}

#[test]
fn literals_before_login_are_not_kept() {
    let site = Site::bare("");
    let server = site.start();
    let before = server.resident_bytes();
    let text = [b"a LOGIN {65000+}\r\n".to_vec(), vec![b'x'; 60_000]].concat();
    let mut streams = vec![];
    for _ in 0..500 {
        let mut stream = TcpStream::connect(server.imap).unwrap();
        stream.write_all(&text).unwrap();
        streams.push(stream);
    }
    std::thread::sleep(Duration::from_secs(1));
    let more = server.resident_bytes().saturating_sub(before);
    assert!(more < 500 * 16 * 1024, "{more} bytes for 500 clients");
    Talk::to(server.imap).ask_after_greeting("a LOGIN fred fred");
}

#[test]
fn literals_before_login_that_a_login_may_have_are_kept_within_the_documented_bound() {
    let site = Site::bare("service.imap.maxoutput = 1M\n");
    let server = site.start();
    let before = server.resident_bytes();
    let text = [b"a LOGIN {8000+}\r\n".to_vec(), vec![b'x'; 7_900]].concat();
    let mut streams = vec![];
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(server.imap).unwrap();
        // It may be cut already.
        let _ = stream.write_all(&text);
        streams.push(stream);
    }
    std::thread::sleep(Duration::from_secs(1));
    let more = server.resident_bytes().saturating_sub(before);
    // Each has a session besides.
    let max = WORKING_BYTES + (1 << 20) + 1000 * 2048;
    assert!(more < max, "{more} bytes for 1000 clients");
    let ended = server.statistics(&site)["Memory"];
    assert!(
        ended > 700,
        "{ended} were ended, 1 MiB has room for some 130"
    );
    Talk::to(server.imap).ask_after_greeting("a LOGIN fred fred");
}

/// What a session may cost behind its login, with what the allocator keeps besides: two buffers of
/// a command of 64 KiB, a receive buffer, two pieces of 32 KiB of output, and the session.
const SESSION_BYTES_MAX: u64 = 256 * 1024;

/// Sessions of `fred`, which have his INBOX selected and then are not waited for any more.
fn logged_in(server: &Server, count: usize) -> Vec<TcpStream> {
    let session = |_| {
        let stream = server.select("fred").into_stream();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    (0..count).map(session).collect()
}

/// A command of 60,000 bytes whose end doesn't come.
fn endless() -> Vec<u8> {
    let begun = b"a SEARCH SUBJECT {60000+}\r\n".to_vec();
    [begun, vec![b'x'; 59_000]].concat()
}

/// Writes the text to each as far as it is taken, for so long.
fn write_to_all(streams: &mut [TcpStream], text: &[u8], for_s: u64) {
    let end = Instant::now() + Duration::from_secs(for_s);
    let mut written = vec![0; streams.len()];
    while Instant::now() < end {
        for (stream, written) in streams.iter_mut().zip(&mut written) {
            // Where it goes on is where it stopped; who is cut is left.
            if let Ok(count) = stream.write(&text[*written..]) {
                *written = (*written + count) % text.len();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_session_keeps_of_commands_without_an_end_is_bounded() {
    let site = Site::bare("");
    let server = site.start();
    let mut streams = logged_in(&server, 100);
    let before = server.resident_bytes();
    let text = endless();
    for stream in &mut streams {
        stream.set_nonblocking(false).unwrap();
        stream.write_all(&text).unwrap();
    }
    std::thread::sleep(Duration::from_secs(1));
    let more = server.resident_bytes().saturating_sub(before);
    let max = WORKING_BYTES + 100 * SESSION_BYTES_MAX;
    assert!(more < max, "{more} bytes for 100 sessions");
    assert_eq!(server.statistics(&site)["Memory"], 0);
    server.select("mary").ask("a NOOP");
}

#[test]
fn what_a_session_keeps_of_answers_that_nobody_reads_is_bounded() {
    let site = Site::bare("");
    let server = site.start();
    let body = "x".repeat(70) + "\r\n";
    server.deliver(
        &["fred"],
        &format!("Subject: big\r\n\r\n{}", body.repeat(20_000)),
    );
    let mut streams = logged_in(&server, 100);
    let before = server.resident_bytes();
    write_to_all(&mut streams, &b"a FETCH 1 BODY.PEEK[]\r\n".repeat(100), 3);
    let more = server.resident_bytes().saturating_sub(before);
    // The store's cache of what was read is not theirs.
    let max = WORKING_BYTES + (32 << 20) + 100 * SESSION_BYTES_MAX;
    assert!(more < max, "{more} bytes for 100 sessions");
    server.select("mary").ask("a NOOP");
}

#[test]
fn what_all_sessions_keep_is_bounded_and_who_takes_too_much_is_ended() {
    let site = Site::bare("service.imap.maxoutput = 4M\nservice.imap.shards = 1\n");
    let server = site.start();
    let mut streams = logged_in(&server, 200);
    let before = server.resident_bytes();
    let text = endless();
    for stream in &mut streams {
        stream.set_nonblocking(false).unwrap();
        // It may be cut already.
        let _ = stream.write_all(&text);
    }
    std::thread::sleep(Duration::from_secs(1));
    let more = server.resident_bytes().saturating_sub(before);
    let max = WORKING_BYTES + (4 << 20) + 200 * 4096;
    assert!(more < max, "{more} bytes for 200 sessions");
    let ended = server.statistics(&site)["Memory"];
    assert!(
        ended >= 100,
        "{ended} were ended, 4 MiB has room for some 65"
    );
    server.select("mary").ask("a NOOP");
}
