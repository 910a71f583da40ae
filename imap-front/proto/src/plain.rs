//! Values as plain bytes, for a session that goes to another process.

use std::net::IpAddr;

use bytes::{Buf, BufMut};

/// Bytes of a text at most.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// Appends a text; one that is longer than 64 KiB is cut off.
pub fn put_text(output: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else {
        return output.put_u32(u32::MAX);
    };
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    output.put_u32(text.len() as u32);
    output.put_slice(text.as_bytes());
}

/// Takes a text, or that there is none; none of both if these are not its bytes.
pub fn take_text(input: &mut &[u8]) -> Option<Option<Box<str>>> {
    let length = input.try_get_u32().ok()?;
    if length == u32::MAX {
        return Some(None);
    }
    let length = usize::try_from(length).ok()?;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    if length > TEXT_BYTES_MAX {
        return None;
    }
    Some(Some(std::str::from_utf8(text).ok()?.into()))
}

/// Appends an address.
pub fn put_address(output: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => output.put_u8(0),
        Some(IpAddr::V4(address)) => {
            output.put_u8(4);
            output.put_u32(address.to_bits());
        }
        Some(IpAddr::V6(address)) => {
            output.put_u8(16);
            output.put_u128(address.to_bits());
        }
    }
}

/// Takes an address, or that there is none; none of both if these are not its bytes.
pub fn take_address(input: &mut &[u8]) -> Option<Option<IpAddr>> {
    Some(match input.try_get_u8().ok()? {
        0 => None,
        4 => Some(IpAddr::V4(input.try_get_u32().ok()?.into())),
        16 => Some(IpAddr::V6(input.try_get_u128().ok()?.into())),
        _ => return None,
    })
}

/// Takes a bit.
pub fn take_bool(input: &mut &[u8]) -> Option<bool> {
    match input.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_come_out_as_they_went_in(
            text in proptest::option::of(".{0,20}"),
            address in proptest::option::of(any::<IpAddr>()),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            put_text(&mut bytes, text.as_deref());
            put_address(&mut bytes, address);
            let mut left = &bytes[..];
            prop_assert_eq!(take_text(&mut left), Some(text.map(Into::into)));
            prop_assert_eq!(take_address(&mut left), Some(address));
            prop_assert_eq!(left, b"");
            let mut short = &bytes[..cut.index(bytes.len())];
            let both = take_text(&mut short).and_then(|_| take_address(&mut short));
            prop_assert_eq!(both, None);
        }
    }
}
