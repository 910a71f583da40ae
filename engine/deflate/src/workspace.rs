//! Inflating: room for a window and what comes out behind it, for any number of streams.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
    TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use thiserror::Error;

use crate::inflater::{
    BEGUN_BYTES_MAX, Boundary, Inflater, OUT_OF_BEGUN_MAX, Stands, WINDOW_BYTES_MAX,
};

/// What comes out of one call at most, in bytes.
pub const INFLATED_BYTES_MAX: usize = 8 << 10;

const FLAGS: u32 = TINFL_FLAG_HAS_MORE_INPUT
    | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY
    | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

/// What is wrong with a stream: it can't be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// These are no blocks, or they refer to what has not come.
    #[error("not DEFLATE (RFC 1951)")]
    Damaged,
    /// Something came behind the last block.
    #[error("bytes behind the end of the stream")]
    BehindTheEnd,
}

/// What came out of a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Inflated<'a> {
    /// Bytes of the input that were taken.
    pub taken: usize,
    /// What they, and those before them, say.
    pub bytes: &'a [u8],
    /// There is more to come out, even without more input.
    pub more: bool,
}

/// Scratch space, some 42 KB; of no connection.
pub struct Workspace {
    room: Box<[u8]>,
    /// What has come of the block that a stream is in.
    begun: Vec<u8>,
}

impl Default for Workspace {
    fn default() -> Self {
        let bytes = WINDOW_BYTES_MAX + OUT_OF_BEGUN_MAX + INFLATED_BYTES_MAX;
        Self {
            room: vec![0; bytes].into(),
            begun: Vec::with_capacity(BEGUN_BYTES_MAX),
        }
    }
}

/// A stream that goes on.
struct Running {
    decompressor: Box<DecompressorOxide>,
    /// Where in the room the next byte comes out.
    at: usize,
    /// The end of the block before, if it is near enough to go back to.
    back: Option<Back>,
}

/// What going back to the end of a block takes.
struct Back {
    boundary: Boundary,
    /// How much of this call's input lies before it.
    taken: usize,
    /// Where in the room the next block's bytes begin.
    at: usize,
}

impl Workspace {
    /// Goes on with a stream, until the input or the room for what comes out is used up.
    ///
    /// # Errors
    /// What is wrong with the stream, which can't be gone on with.
    pub fn inflate(
        &mut self,
        inflater: &mut Inflater,
        input: &[u8],
    ) -> Result<Inflated<'_>, Fault> {
        self.inflate_up_to(inflater, input, None)
    }

    /// The same, but stops at the end of a block of which these bytes are the last that came out,
    /// in upper or lower case.
    ///
    /// # Errors
    /// What is wrong with the stream, which can't be gone on with.
    pub fn inflate_up_to(
        &mut self,
        inflater: &mut Inflater,
        input: &[u8],
        last: Option<&[u8]>,
    ) -> Result<Inflated<'_>, Fault> {
        let Some(mut running) = self.resume(inflater)? else {
            return match input {
                [] => Ok(Inflated {
                    taken: 0,
                    bytes: &[],
                    more: false,
                }),
                _ => Err(Fault::BehindTheEnd),
            };
        };
        let from = running.at;
        let (taken, status) = self.run(&mut running, input, from + INFLATED_BYTES_MAX, last);
        let to = running.at;
        let more = match status {
            TINFLStatus::HasMoreOutput => true,
            TINFLStatus::NeedsMoreInput | TINFLStatus::BlockBoundary => false,
            TINFLStatus::Done => {
                *inflater = Inflater {
                    kept: Box::default(),
                    stands: Stands::Over,
                };
                return Ok(Inflated {
                    taken,
                    bytes: &self.room[from..to],
                    more: false,
                });
            }
            _ => return Err(Fault::Damaged),
        };
        *inflater = self.keep(running, &input[..taken], more);
        Ok(Inflated {
            taken,
            bytes: &self.room[from..to],
            more,
        })
    }

    /// A stream as it stands, with its window in the room; none if it is at its end.
    fn resume(&mut self, inflater: &mut Inflater) -> Result<Option<Running>, Fault> {
        let kept = &inflater.kept;
        self.begun.clear();
        match std::mem::replace(&mut inflater.stands, Stands::Over) {
            Stands::Over => Ok(None),
            Stands::Within(decompressor) => {
                self.room[..kept.len()].copy_from_slice(kept);
                Ok(Some(Running {
                    decompressor,
                    at: kept.len(),
                    back: None,
                }))
            }
            Stands::Boundary(boundary) => {
                let (window, begun) = kept.split_at(kept.len() - usize::from(boundary.begun));
                self.room[..window.len()].copy_from_slice(window);
                self.begun.extend_from_slice(begun);
                let at = window.len() - usize::from(boundary.out_of_begun);
                let mut decompressor = Box::new(boundary.decompressor());
                if !begun.is_empty() {
                    let room = &mut self.room[..window.len() + INFLATED_BYTES_MAX];
                    let again = decompress(&mut decompressor, begun, room, at, FLAGS);
                    let out = usize::from(boundary.out_of_begun);
                    if again != (TINFLStatus::NeedsMoreInput, begun.len(), out) {
                        return Err(Fault::Damaged);
                    }
                }
                let taken = 0;
                Ok(Some(Running {
                    decompressor,
                    at: window.len(),
                    back: Some(Back {
                        boundary,
                        taken,
                        at,
                    }),
                }))
            }
        }
    }

    /// Runs through the input; gives how much of it was taken, and why it has stopped.
    fn run(
        &mut self,
        running: &mut Running,
        input: &[u8],
        end: usize,
        last: Option<&[u8]>,
    ) -> (usize, TINFLStatus) {
        let mut taken = 0;
        let mut compared = running.at;
        loop {
            let room = &mut self.room[..end];
            let decompressor = &mut running.decompressor;
            let (status, read, out) =
                decompress(decompressor, &input[taken..], room, running.at, FLAGS);
            taken += read;
            running.at += out;
            if status != TINFLStatus::BlockBoundary {
                return (taken, status);
            }
            self.begun.clear();
            let state = running.decompressor.block_boundary_state();
            running.back = state.map(|state| Back {
                boundary: Boundary::of(&state),
                taken,
                at: running.at,
            });
            let has_grown = std::mem::replace(&mut compared, running.at) < running.at;
            if has_grown && last.is_some_and(|last| ends_in(&self.room[..running.at], last)) {
                return (taken, status);
            }
        }
    }

    /// What is to be kept of a stream that has taken this input.
    fn keep(&mut self, running: Running, input: &[u8], more: bool) -> Inflater {
        let Running {
            decompressor,
            at,
            back,
        } = running;
        if let Some(back) = back.filter(|_| !more) {
            let out = at - back.at;
            self.begun.extend_from_slice(&input[back.taken..]);
            if self.begun.len() <= BEGUN_BYTES_MAX && out <= OUT_OF_BEGUN_MAX {
                let window = &self.room[at.saturating_sub(WINDOW_BYTES_MAX + out)..at];
                let boundary = Boundary {
                    begun: self.begun.len() as u16,
                    out_of_begun: out as u16,
                    ..back.boundary
                };
                return Inflater {
                    kept: [window, &self.begun].concat().into(),
                    stands: Stands::Boundary(boundary),
                };
            }
        }
        Inflater {
            kept: self.room[at.saturating_sub(WINDOW_BYTES_MAX)..at].into(),
            stands: Stands::Within(decompressor),
        }
    }
}

/// Whether text ends so, in upper or lower case.
fn ends_in(text: &[u8], end: &[u8]) -> bool {
    let at = text.len().checked_sub(end.len());
    at.is_some_and(|at| text[at..].eq_ignore_ascii_case(end))
}
