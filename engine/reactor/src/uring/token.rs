//! What a completion belongs to, packed into 64 bits of user data.

use crate::Conn;

/// What kind of operation completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nobody waits for it: cancels and closes.
    Ignored = 0,
    /// Multishot accept; `low` is the listener.
    Accept = 1,
    /// The multishot poll of a connection.
    Poll = 2,
    /// The one-shot poll for room to write.
    Writable = 3,
    /// A send; `low` is the place in the batch.
    Send = 4,
    /// A receive; `low` is the place in the batch.
    Receive = 5,
    /// The eventfd of wakers and park rings.
    Alarm = 6,
    /// SOCKET of a connect; `low` is the place in the table of connects.
    Socket = 7,
    /// CONNECT; `low` is the connection.
    Connect = 8,
    /// FIXED_FD_INSTALL.
    Install = 9,
}

/// Kind (8 bits), generation (16), low (32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub generation: u16,
    pub low: u32,
}

impl Token {
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
            9 => Kind::Install,
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
        for kind in [Kind::Ignored, Kind::Accept, Kind::Send, Kind::Install] {
            let token = Token {
                kind,
                generation: 0xABCD,
                low: 0xDEAD_BEEF,
            };
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
