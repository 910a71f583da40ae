//! What leaves: blocks that end on a byte and refer to nothing before them.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};

/// Quick: 32 KiB take about a third of a millisecond.
const LEVEL: i32 = 1;
/// Raw DEFLATE, without zlib's header.
const RAW: i32 = -15;
/// Bytes of a stored block at most (RFC 1951 §3.2.4).
const STORED_BYTES_MAX: usize = u16::MAX as usize;

/// Bytes that each started 65,535 take beside themselves, stored.
pub const STORED_EXTRA_BYTES: usize = 5;

/// Scratch space for bursts, some 300 KB; of no connection.
pub struct Deflater {
    compressor: Box<CompressorOxide>,
}

impl Default for Deflater {
    fn default() -> Self {
        let flags = create_comp_flags_from_zip_params(LEVEL, RAW, 0);
        let compressor = Box::new(CompressorOxide::new(flags));
        Self { compressor }
    }
}

impl Deflater {
    /// Appends a burst to `output`: never longer than [`store`] would make it.
    pub fn deflate(&mut self, bytes: &[u8], output: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let before = output.len();
        let most = before + stored_len(bytes.len());
        self.compressor.reset();
        let (status, taken) =
            compress_to_output(&mut self.compressor, bytes, TDEFLFlush::Sync, |piece| {
                output.extend_from_slice(piece);
                // Beyond what it takes stored, the rest is of no use.
                output.len() <= most
            });
        if status != TDEFLStatus::Okay || taken < bytes.len() || output.len() > most {
            output.truncate(before);
            store(bytes, output);
        }
    }
}

/// Appends bytes as stored blocks.
pub fn store(bytes: &[u8], output: &mut Vec<u8>) {
    output.reserve(stored_len(bytes.len()));
    for piece in bytes.chunks(STORED_BYTES_MAX) {
        let length = piece.len() as u16;
        // Not the last block, of type 0, and nothing up to the next byte.
        output.push(0);
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(&(!length).to_le_bytes());
        output.extend_from_slice(piece);
    }
}

fn stored_len(bytes: usize) -> usize {
    bytes + bytes.div_ceil(STORED_BYTES_MAX) * STORED_EXTRA_BYTES
}
