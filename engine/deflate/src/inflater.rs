//! What is kept of the stream that comes on one connection.

use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide};

/// How far back a stream may refer (RFC 1951 §2).
pub(crate) const WINDOW_BYTES_MAX: usize = 32 << 10;
/// Of a block whose end has not come so many bytes are kept to be read again, and so many bytes may
/// have come out of them; beyond that the tables stay as they are, which are 11 KB.
pub(crate) const BEGUN_BYTES_MAX: usize = 256;
pub(crate) const OUT_OF_BEGUN_MAX: usize = 1 << 10;
/// How the encoding for another process begins.
const VERSION: u8 = 1;

/// What an [`Inflater`] takes at most, in bytes, with what it points to.
pub const INFLATER_BYTES_MAX: usize = size_of::<Inflater>()
    + WINDOW_BYTES_MAX
    + OUT_OF_BEGUN_MAX
    + BEGUN_BYTES_MAX
    + size_of::<DecompressorOxide>();

/// Where a stream stands, and what its peer may still refer to.
#[derive(Default)]
pub struct Inflater {
    /// The window, and behind it the beginning of a block.
    pub(crate) kept: Box<[u8]>,
    pub(crate) stands: Stands,
}

/// Where a stream stands.
pub(crate) enum Stands {
    /// At the end of a block, or a little behind it.
    Boundary(Boundary),
    /// Far into a block.
    Within(Box<DecompressorOxide>),
    /// At its end.
    Over,
}

/// The end of a block, and what has come since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// Bits of the last byte that belong to the next block, and how many they are.
    pub bits: u8,
    pub bits_len: u8,
    /// Bytes that have come of the next block; they lie behind the window.
    pub begun: u16,
    /// Bytes at the window's end that came out of these.
    pub out_of_begun: u16,
}

impl Default for Stands {
    fn default() -> Self {
        Self::Boundary(Boundary::default())
    }
}

impl Boundary {
    /// That of a decompressor at the end of a block.
    pub fn of(state: &BlockBoundaryState) -> Self {
        Self {
            bits: state.bit_buf,
            bits_len: state.num_bits,
            ..Self::default()
        }
    }

    /// A decompressor that stands there.
    pub fn decompressor(self) -> DecompressorOxide {
        DecompressorOxide::from_block_boundary_state(&BlockBoundaryState {
            num_bits: self.bits_len,
            bit_buf: self.bits,
            ..BlockBoundaryState::default()
        })
    }
}

impl Inflater {
    /// What it takes, in bytes, with what it points to.
    pub fn bytes(&self) -> usize {
        let tables = match self.stands {
            Stands::Within(_) => size_of::<DecompressorOxide>(),
            Stands::Boundary(_) | Stands::Over => 0,
        };
        size_of::<Self>() + self.kept.len() + tables
    }

    /// Appends what another process needs to go on; false if the stream stands far into a block,
    /// which can't be written down.
    #[must_use = "a stream that can't be written down is lost with its connection"]
    pub fn hand_over(&self, output: &mut Vec<u8>) -> bool {
        let (over, at) = match self.stands {
            Stands::Boundary(at) => (false, at),
            Stands::Over => (true, Boundary::default()),
            Stands::Within(_) => return false,
        };
        output.extend_from_slice(&[VERSION, u8::from(over), at.bits, at.bits_len]);
        output.extend_from_slice(&at.begun.to_be_bytes());
        output.extend_from_slice(&at.out_of_begun.to_be_bytes());
        output.extend_from_slice(&self.kept);
        true
    }

    /// Whether the end of a block has not come of which something has come out.
    pub fn is_within_text(&self) -> bool {
        match self.stands {
            Stands::Boundary(at) => at.out_of_begun > 0,
            Stands::Within(_) => true,
            Stands::Over => false,
        }
    }

    /// Whether [`Inflater::hand_over`] can write it down.
    pub fn can_be_handed_over(&self) -> bool {
        !matches!(self.stands, Stands::Within(_))
    }

    /// What another process has written down; none if these are not its bytes.
    pub fn taken_over(input: &[u8]) -> Option<Self> {
        let (head, kept) = input.split_at_checked(8)?;
        let [VERSION, over @ 0..=1, bits, bits_len, b0, b1, o0, o1] = *head else {
            return None;
        };
        let at = Boundary {
            bits,
            bits_len,
            begun: u16::from_be_bytes([b0, b1]),
            out_of_begun: u16::from_be_bytes([o0, o1]),
        };
        let (begun, out) = (usize::from(at.begun), usize::from(at.out_of_begun));
        let window = kept.len().checked_sub(begun)?;
        let is_whole = bits_len < 8
            && u16::from(bits) >> bits_len == 0
            && begun <= BEGUN_BYTES_MAX
            && out <= OUT_OF_BEGUN_MAX.min(window)
            && window <= WINDOW_BYTES_MAX + out;
        let is_over = over == 1;
        if !is_whole || is_over && (at != Boundary::default() || window > 0) {
            return None;
        }
        let stands = match is_over {
            true => Stands::Over,
            false => Stands::Boundary(at),
        };
        Some(Self {
            kept: kept.into(),
            stands,
        })
    }
}
