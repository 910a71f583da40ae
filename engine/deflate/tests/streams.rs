//! What leaves is read by zlib's descendants, and what they say is read here, however it is cut.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use deflate::{
    Deflater, Fault, INFLATED_BYTES_MAX, INFLATER_BYTES_MAX, Inflater, Workspace, store,
};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

/// What another implementation makes of a stream.
fn read_by_others(stream: &[u8]) -> Vec<u8> {
    let mut decompress = Decompress::new(false);
    let mut output = Vec::with_capacity(1 << 20);
    decompress
        .decompress_vec(stream, &mut output, FlushDecompress::Sync)
        .unwrap();
    assert_eq!(decompress.total_in() as usize, stream.len());
    output
}

/// Compresses pieces, each flushed in its own way: every one can be read once it has come.
fn written_by_others(pieces: &[Vec<u8>], flushes: &[FlushCompress], level: u32) -> Vec<Vec<u8>> {
    let mut compress = Compress::new(Compression::new(level), false);
    let mut parts = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        let mut output = Vec::with_capacity(piece.len() + (64 << 10));
        let flush = flushes[place % flushes.len()];
        compress.compress_vec(piece, &mut output, flush).unwrap();
        parts.push(output);
    }
    parts
}

/// Reads all of a piece's bytes; hands the stream over on the way if it can be.
fn inflate(workspace: &mut Workspace, inflater: &mut Inflater, mut input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    loop {
        let inflated = workspace.inflate(inflater, input).unwrap();
        assert!(inflated.bytes.len() <= INFLATED_BYTES_MAX);
        output.extend_from_slice(inflated.bytes);
        let (taken, more) = (inflated.taken, inflated.more);
        input = &input[taken..];
        assert!(inflater.bytes() <= INFLATER_BYTES_MAX);
        let mut written = Vec::new();
        if inflater.hand_over(&mut written) {
            *inflater = Inflater::taken_over(&written).unwrap();
        } else {
            assert!(!inflater.can_be_handed_over());
        }
        if input.is_empty() && !more {
            return output;
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(&b"abcd FETCH UID\r\n"[..]), 0..400),
        prop::collection::vec(any::<u8>(), 0..400),
        (any::<u8>(), 0..60_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn bursts_are_read_by_others(pieces in prop::collection::vec(text(), 1..8), kinds: u8) {
        let (mut deflater, mut stream) = (Deflater::default(), Vec::new());
        for (place, piece) in pieces.iter().enumerate() {
            let before = stream.len();
            if kinds >> place & 1 == 0 {
                store(piece, &mut stream);
            } else {
                deflater.deflate(piece, &mut stream);
                prop_assert!(stream.len() - before <= piece.len() + 10);
            }
        }
        prop_assert_eq!(read_by_others(&stream), pieces.concat());
    }

    #[test]
    fn what_others_say_is_read_however_it_is_cut(
        pieces in prop::collection::vec(text(), 1..12),
        flushes in prop::collection::vec(
            prop::sample::select(&[
                FlushCompress::Sync,
                FlushCompress::Partial,
                FlushCompress::Full,
                FlushCompress::None,
            ][..]),
            1..4,
        ),
        level in 0..10u32,
        cut in 1..5_000usize,
    ) {
        let parts = written_by_others(&pieces, &flushes, level);
        let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
        let mut heard = Vec::new();
        for part in parts {
            for bytes in part.chunks(cut) {
                heard.extend(inflate(&mut workspace, &mut inflater, bytes));
            }
        }
        let said = pieces.concat();
        prop_assert_eq!(&said[..heard.len()], &heard[..]);
        let all = flushes.iter().all(|flush| *flush != FlushCompress::None);
        prop_assert!(!all || heard.len() == said.len());
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        cut in 1..600usize,
    ) {
        let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
        'parts: for part in bytes.chunks(cut) {
            let mut input = part;
            loop {
                let Ok(inflated) = workspace.inflate(&mut inflater, input) else {
                    break 'parts;
                };
                let (taken, more) = (inflated.taken, inflated.more);
                input = &input[taken..];
                if input.is_empty() && !more {
                    break;
                }
            }
        }
        if let Some(mut inflater) = Inflater::taken_over(&bytes) {
            let _ = workspace.inflate(&mut inflater, &bytes);
        }
    }
}

#[test]
fn what_was_said_may_be_referred_to_after_a_rest_and_nothing_else() {
    let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
    let line = b"a001 UID FETCH 1:* (FLAGS UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n";
    let parts = written_by_others(&vec![line.to_vec(); 20], &[FlushCompress::Sync], 6);
    for part in &parts {
        assert_eq!(inflate(&mut workspace, &mut inflater, part), line);
        assert!(
            inflater.bytes() <= 32 + line.len() * parts.len(),
            "{}",
            inflater.bytes()
        );
    }
    assert!(parts[1].len() < line.len(), "it refers to the first");
    let mut fresh = Inflater::default();
    assert_eq!(
        workspace.inflate(&mut fresh, &parts[1]),
        Err(Fault::Damaged)
    );
    assert_eq!(size_of::<Inflater>(), 32);
}

#[test]
fn a_flush_that_ends_within_a_byte_keeps_no_tables() {
    let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
    let pieces = vec![b"a001 NOOP\r\n".to_vec(); 40];
    let parts = written_by_others(&pieces, &[FlushCompress::Partial], 6);
    for part in &parts {
        assert_eq!(
            inflate(&mut workspace, &mut inflater, part),
            b"a001 NOOP\r\n"
        );
        assert!(inflater.can_be_handed_over());
        assert!(inflater.bytes() < 32 + 11 * 40 + 64);
    }
}

#[test]
fn a_bomb_comes_out_in_bounded_pieces() {
    let parts = written_by_others(&[vec![0; 8 << 20]], &[FlushCompress::Sync], 9);
    assert!(parts[0].len() < 10_000);
    let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
    assert_eq!(
        inflate(&mut workspace, &mut inflater, &parts[0]).len(),
        8 << 20
    );
}

#[test]
fn nothing_may_follow_the_end() {
    let parts = written_by_others(&[b"bye".to_vec()], &[FlushCompress::Finish], 6);
    let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
    assert_eq!(inflate(&mut workspace, &mut inflater, &parts[0]), b"bye");
    assert_eq!(workspace.inflate(&mut inflater, b"").unwrap().bytes, b"");
    assert_eq!(
        workspace.inflate(&mut inflater, b"x"),
        Err(Fault::BehindTheEnd)
    );
    let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
    let more = [&parts[0][..], b"x"].concat();
    let inflated = workspace.inflate(&mut inflater, &more).unwrap();
    assert_eq!(
        (inflated.taken, inflated.bytes),
        (parts[0].len(), &b"bye"[..])
    );
    assert_eq!(
        workspace.inflate(&mut inflater, b"x"),
        Err(Fault::BehindTheEnd)
    );
}

#[test]
fn behind_words_that_may_be_the_last_nothing_is_taken() {
    let pieces = [&b"a NOOP\r\nb by"[..], b"e\r\n", b"c more\r\n"].map(<[u8]>::to_vec);
    let flushes = [
        FlushCompress::Sync,
        FlushCompress::Partial,
        FlushCompress::Finish,
    ];
    for flush in flushes {
        let parts = match flush {
            FlushCompress::Finish => written_by_others(&[pieces[..2].concat()], &[flush], 6),
            _ => written_by_others(&pieces[..2], &[flush], 6),
        };
        let said = parts.concat();
        for behind in [&b""[..], b"raw text\r\n", b"\xff\xff\xff"] {
            let input = [&said, behind].concat();
            let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
            let last = Some(&b"BYE\r\n"[..]);
            let inflated = workspace
                .inflate_up_to(&mut inflater, &input, last)
                .unwrap();
            assert_eq!(inflated.bytes, pieces[..2].concat(), "{flush:?}");
            // What is left is the flush, which says nothing.
            assert!(inflated.taken <= said.len() && said.len() - inflated.taken <= 5);
            assert!(!inflated.more && !inflater.is_within_text());
        }
        if flush != FlushCompress::Finish {
            let all = written_by_others(&pieces, &[flush], 6).concat();
            let (mut workspace, mut inflater) = (Workspace::default(), Inflater::default());
            let last = Some(&b"BYE\r\n"[..]);
            let inflated = workspace.inflate_up_to(&mut inflater, &all, last).unwrap();
            let taken = inflated.taken;
            let inflated = workspace
                .inflate_up_to(&mut inflater, &all[taken..], last)
                .unwrap();
            assert_eq!(inflated.bytes, pieces[2], "it goes on");
        }
    }
}
