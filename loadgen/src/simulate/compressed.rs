//! A client's side of a compressed connection (RFC 4978), by another library than the server's.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// Room that is made at a time, in bytes.
const PIECE_BYTES: usize = 16 << 10;

/// Both streams of a connection.
pub struct Deflated {
    compress: Compress,
    decompress: Decompress,
    flush: FlushCompress,
}

impl Deflated {
    /// They begin; what is said ends on a byte, or within one.
    pub fn new(partial: bool) -> Self {
        Self {
            compress: Compress::new(Compression::default(), false),
            decompress: Decompress::new(false),
            flush: match partial {
                true => FlushCompress::Partial,
                false => FlushCompress::Sync,
            },
        }
    }

    /// What is sent for a text.
    pub fn deflate(&mut self, text: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(text.len() + PIECE_BYTES);
        let outcome = self.compress.compress_vec(text, &mut output, self.flush);
        outcome.expect("there is room for more than the text");
        output
    }

    /// What the server has said by these bytes.
    ///
    /// # Errors
    /// If that is no stream.
    pub fn inflate(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut output = Vec::with_capacity(PIECE_BYTES);
        loop {
            let before = self.decompress.total_in();
            let flush = FlushDecompress::Sync;
            let outcome = self.decompress.decompress_vec(bytes, &mut output, flush);
            outcome.map_err(|why| why.to_string())?;
            bytes = &bytes[(self.decompress.total_in() - before) as usize..];
            if output.len() < output.capacity() && bytes.is_empty() {
                return Ok(output);
            }
            output.reserve(PIECE_BYTES);
        }
    }
}
