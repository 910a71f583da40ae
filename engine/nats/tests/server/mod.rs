//! A server that says what a test needs.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// A server that greets whoever comes, and gives each connection away once a subscription has come.
pub fn server() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, connections) = channel();
    let greet = move |mut stream: TcpStream| {
        let info = format!(
            "INFO {{\"server_id\":\"a\",\"server_name\":\"a\",\"host\":\"127.0.0.1\",\
             \"port\":{port},\"version\":\"2.10.0\",\"go\":\"\",\"proto\":1,\
             \"max_payload\":2000000,\"headers\":true,\"client_id\":1}}\r\n"
        );
        stream.write_all(info.as_bytes()).unwrap();
        // Byte by byte: nothing is read ahead that is the test's.
        let mut lines = BufReader::with_capacity(1, stream.try_clone().unwrap());
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
            if line.starts_with("PING") {
                stream.write_all(b"PONG\r\n").unwrap();
            }
            if line.starts_with("SUB ") {
                return drop(sender.send(stream));
            }
            line.clear();
        }
    };
    thread::spawn(move || {
        let streams = listener.incoming().map_while(Result::ok);
        streams.for_each(&greet);
    });
    (format!("nats://127.0.0.1:{port}"), connections)
}
