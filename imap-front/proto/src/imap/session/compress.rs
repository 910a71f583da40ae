//! COMPRESS (RFC 4978): the host compresses, below the session and above TLS, until the client
//! gives up its login.
//!
//! Of use after login only, like most; so nobody makes the server keep a window before.

use super::Session;
use crate::imap::action::Action;
use crate::imap::config::Compression;

impl Session {
    /// Whether the connection is compressed, or may be, as its host says.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// RFC 4978 §3. What came behind the command is the beginning of the stream.
    pub(super) fn compress(&mut self, tag: &str, mechanism: &str) {
        if !self.config.compresses {
            self.done(tag, "BAD COMPRESS is not offered");
        } else if mechanism != "DEFLATE" {
            self.done(tag, "BAD Only DEFLATE is offered");
        } else if self.compression == Compression::Active {
            self.done(
                tag,
                "NO [COMPRESSIONACTIVE] DEFLATE is active already, by COMPRESS",
            );
        } else if self.compression == Compression::Full {
            self.done(
                tag,
                "NO [LIMIT] There is no memory for that now, go on without it",
            );
        } else {
            self.done(tag, "OK DEFLATE active");
            self.compression = Compression::Active;
            let rest = self.receiver.take_rest();
            self.act(Action::Compress(rest));
        }
    }

    /// What was said until now leaves compressed, and nothing later (RFC 8437 §4.1).
    pub(super) fn end_compression(&mut self) {
        if self.compression == Compression::Active {
            self.compression = Compression::Possible;
            self.act(Action::EndCompression);
        }
    }
}
