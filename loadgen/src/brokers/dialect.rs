//! What a broker is told, as bytes. What it says is not taken apart: each payload holds one byte
//! that nothing else holds, and receivers count that.

use bytes::BytesMut;
use ens::frame::{Frame, VERSION};

/// Stands once in each payload, and in nothing else that a broker sends here.
pub const MARK: u8 = 0xfe;
/// The topic that crowds subscribe to.
pub const TOPIC: &str = "store/fred";

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Ensign's.
    Enp,
    /// NATS.
    Nats,
    /// Redis (RESP2).
    Redis,
}

impl Dialect {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "enp" => Self::Enp,
            "nats" => Self::Nats,
            "redis" => Self::Redis,
            _ => return None,
        })
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enp => "enp",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }

    fn topic(self, topic: &str) -> String {
        match self {
            Self::Enp => format!("enp://127.0.0.1/{topic}"),
            Self::Nats | Self::Redis => topic.replace('/', "."),
        }
    }

    /// What a connection begins with.
    pub fn hello(self) -> Vec<u8> {
        match self {
            Self::Enp => encoded(&Frame::Hello {
                version: VERSION,
                name: "loadgen",
            }),
            Self::Nats => b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_vec(),
            Self::Redis => vec![],
        }
    }

    /// Subscribes to a topic.
    pub fn subscribe(self, topic: &str) -> Vec<u8> {
        let topic = self.topic(topic);
        match self {
            Self::Enp => encoded(&Frame::Subscribe {
                id: 1,
                scope: None,
                pattern: &topic,
            }),
            Self::Nats => format!("SUB {topic} 1\r\n").into_bytes(),
            Self::Redis => format!("SUBSCRIBE {topic}\r\n").into_bytes(),
        }
    }

    /// Publishes a payload of `size` bytes that ends in the mark.
    pub fn publish(self, topic: &str, size: usize) -> Vec<u8> {
        let topic = self.topic(topic);
        let mut payload = vec![b'x'; size.max(1)];
        payload[size.max(1) - 1] = MARK;
        let text = match self {
            Self::Enp => {
                return encoded(&Frame::Publish {
                    id: 0,
                    link: b"",
                    event: &topic,
                    payload: &payload,
                });
            }
            Self::Nats => format!("PUB {topic} {}\r\n", payload.len()),
            Self::Redis => format!(
                "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{topic}\r\n${}\r\n",
                topic.len(),
                payload.len()
            ),
        };
        [text.as_bytes(), &payload, b"\r\n"].concat()
    }

    /// A question whose answer ends in [`Dialect::answer`]: everything before it was taken.
    pub fn question(self) -> Vec<u8> {
        match self {
            Self::Enp => encoded(&Frame::Ping { token: 0x454e_4453 }),
            Self::Nats => b"PING\r\n".to_vec(),
            Self::Redis => b"PING\r\n".to_vec(),
        }
    }

    /// The last bytes of the answer.
    pub fn answer(self) -> Vec<u8> {
        match self {
            Self::Enp => encoded(&Frame::Pong { token: 0x454e_4453 }),
            Self::Nats => b"PONG\r\n".to_vec(),
            Self::Redis => b"+PONG\r\n".to_vec(),
        }
    }

    /// What must be answered at once, and how: NATS asks clients for signs of life.
    pub fn duty(self, said: &[u8]) -> Option<&'static [u8]> {
        let asked = self == Self::Nats && said.windows(6).any(|six| six == b"PING\r\n");
        asked.then_some(b"PONG\r\n")
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    bytes.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_their_size_and_one_mark() {
        for dialect in [Dialect::Enp, Dialect::Nats, Dialect::Redis] {
            let small = dialect.publish(TOPIC, 10);
            let marks = small.iter().filter(|&&byte| byte == MARK).count();
            assert_eq!(marks, 1);
            // The size is a number of the same length.
            assert_eq!(dialect.publish(TOPIC, 20).len(), small.len() + 10);
            for other in [dialect.hello(), dialect.subscribe(TOPIC), dialect.answer()] {
                assert!(!other.contains(&MARK));
            }
            assert_eq!(Dialect::named(dialect.name()), Some(dialect));
        }
    }
}
