//! Frames of ENP that an attacker sends.

use bytes::BytesMut;
use ens::frame::{Frame, VERSION};

const TOKEN: u32 = 0x454e_4453;

/// What a connection begins with.
pub fn hello() -> Vec<u8> {
    let name = "attacker";
    encoded(&Frame::Hello {
        version: VERSION,
        name,
    })
}

/// A subscription.
pub fn subscribe(id: u32, pattern: &str) -> Vec<u8> {
    let scope = None;
    encoded(&Frame::Subscribe { id, scope, pattern })
}

/// An event without payload.
pub fn publish(event: &str) -> Vec<u8> {
    encoded(&Frame::Publish {
        id: 0,
        link: b"",
        event,
        payload: b"",
    })
}

/// A question whose answer ends in [`answer`]: everything before it was taken.
pub fn question() -> Vec<u8> {
    encoded(&Frame::Ping { token: TOKEN })
}

/// The answer.
pub fn answer() -> Vec<u8> {
    encoded(&Frame::Pong { token: TOKEN })
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    bytes.to_vec()
}
