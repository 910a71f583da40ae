//! What a completion belongs to, packed into 64 bits of user data.

use crate::Conn;

/// What kind of operation completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nobody waits for it: cancels and closes.
    Ignored = 0,
    /// An accept, multishot or not; `low` is the listener.
    Accept = 1,
    /// The one-shot poll of a connection for bytes.
    Poll = 2,
    /// The one-shot poll for room to write.
    Writable = 3,
    /// A send; `low` is the place in the sends of the turn.
    Send = 4,
    /// A receive; `low` is the place among those under way.
    Receive = 5,
    /// An eventfd; `low` is 0 for the wakers' and 1 for the park rings'.
    Alarm = 6,
    /// SOCKET of a connect; `low` is the place in the table of connects.
    Socket = 7,
    /// BIND (which is silent if it works) and CONNECT; `low` as for the socket.
    Connect = 8,
    /// What is asked for outside of a turn, one at a time.
    Asked = 9,
    /// The address of a peer; `low` is the place among those asked for.
    Peer = 10,
}

/// Kind (8 bits), generation (16), low (32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub generation: u16,
    pub low: u32,
}

impl Token {
    /// The user data of operations whose completion nobody waits for.
    pub const IGNORED: u64 = 0;

    pub fn new(kind: Kind, low: u32) -> Self {
        Self {
            kind,
            generation: 0,
            low,
        }
    }

    pub fn of(kind: Kind, conn: Conn, generation: u16) -> Self {
        Self {
            kind,
            generation,
            low: conn.0,
        }
    }

    pub fn pack(self) -> u64 {
        (self.kind as u64) << 48 | u64::from(self.generation) << 32 | u64::from(self.low)
    }

    pub fn unpack(user_data: u64) -> Self {
        let kind = match (user_data >> 48) as u8 {
            1 => Kind::Accept,
            2 => Kind::Poll,
            3 => Kind::Writable,
            4 => Kind::Send,
            5 => Kind::Receive,
            6 => Kind::Alarm,
            7 => Kind::Socket,
            8 => Kind::Connect,
            9 => Kind::Asked,
            10 => Kind::Peer,
            _ => Kind::Ignored,
        };
        Self {
            kind,
            generation: (user_data >> 32) as u16,
            low: user_data as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_both_ways() {
        assert_eq!(Token::unpack(Token::IGNORED).kind, Kind::Ignored);
        for kind in [Kind::Ignored, Kind::Accept, Kind::Asked, Kind::Peer] {
            let token = Token {
                kind,
                generation: 0xABCD,
                low: 0xDEAD_BEEF,
            };
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
