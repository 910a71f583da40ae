//! How what lies in memory is written down for a successor: parts behind their lengths, and the
//! rest.

use zeroize::Zeroizing;

/// Parts, each behind its length in four bytes, with room for so many bytes behind them: what holds
/// keys is not to be copied as it grows.
pub fn put_parts(parts: &[&[u8]], room: usize) -> Zeroizing<Vec<u8>> {
    let lengths = parts.iter().map(|part| size_of::<u32>() + part.len());
    let room = lengths.sum::<usize>() + room;
    let mut output = Zeroizing::new(Vec::with_capacity(room));
    for part in parts {
        output.extend((part.len() as u32).to_be_bytes());
        output.extend_from_slice(part);
    }
    output
}

/// The first part, and what is behind it. None if it is not whole.
pub fn take_part(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_as_they_went_in() {
        let mut output = put_parts(&[b"one", b""], 4);
        let capacity = output.capacity();
        output.extend_from_slice(b"rest");
        assert_eq!(output.capacity(), capacity);
        let (one, left) = take_part(&output).expect("a part");
        let (none, rest) = take_part(left).expect("another");
        assert_eq!((one, none, rest), (&b"one"[..], &b""[..], &b"rest"[..]));
        assert_eq!(take_part(&output[..6]), None);
    }
}
