//! A connection written down: plain bytes, each part with its length.

use bytes::{Buf, BufMut};

/// Bytes of a row at most: what may wait for a client, and a session.
const ROW_BYTES_MAX: usize = 1 << 30;

/// What a shard keeps of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainRow<'a> {
    /// Slot and generation: what the connection is called.
    pub key: u64,
    pub topic: u64,
    /// The second of its deadline, on the machine's clock; 0 is none.
    pub deadline: u32,
    /// It has to catch up.
    pub stale: bool,
    /// As the protocol has written it.
    pub session: &'a [u8],
    /// As its record layer has; none if it speaks plain text.
    pub records: Option<&'a [u8]>,
    /// As its inflater has; none if it is not compressed.
    pub stream: Option<&'a [u8]>,
    /// The beginning of a record whose end has not come.
    pub partial: &'a [u8],
    /// What came and was not looked at.
    pub input: &'a [u8],
    /// Output that leaves as it is.
    pub ready: &'a [u8],
    /// Output behind that, which is to be compressed and sealed where that is done.
    pub plain: &'a [u8],
}

const STALE: u8 = 1;
const SECURE: u8 = 2;
const COMPRESSED: u8 = 4;

impl<'a> PlainRow<'a> {
    /// Appends it.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.put_u64(self.key);
        output.put_u64(self.topic);
        output.put_u32(self.deadline);
        let stale = if self.stale { STALE } else { 0 };
        let secure = if self.records.is_some() { SECURE } else { 0 };
        let compressed = if self.stream.is_some() { COMPRESSED } else { 0 };
        output.put_u8(stale | secure | compressed);
        for part in self.parts() {
            output.put_u32(part.len() as u32);
            output.put_slice(part);
        }
    }

    /// How many bytes it is written down as.
    pub fn bytes(&self) -> usize {
        const NUMBERS: usize = 8 + 8 + 4 + 1 + 7 * 4;
        let parts = self.parts().into_iter().map(<[u8]>::len);
        NUMBERS + parts.sum::<usize>()
    }

    /// What has a length of its own, in the order in which it is written down.
    fn parts(&self) -> [&'a [u8]; 7] {
        [
            self.session,
            self.records.unwrap_or_default(),
            self.stream.unwrap_or_default(),
            self.partial,
            self.input,
            self.ready,
            self.plain,
        ]
    }

    /// Takes the first row from the input; none if there is no whole one.
    pub fn read(input: &mut &'a [u8]) -> Option<Self> {
        let key = input.try_get_u64().ok()?;
        let topic = input.try_get_u64().ok()?;
        let deadline = input.try_get_u32().ok()?;
        let flags = input.try_get_u8().ok()?;
        if flags & !(STALE | SECURE | COMPRESSED) != 0 {
            return None;
        }
        let mut part = || {
            let length = input.try_get_u32().ok()? as usize;
            let (part, rest) = input.split_at_checked(length)?;
            *input = rest;
            (length <= ROW_BYTES_MAX).then_some(part)
        };
        let session = part()?;
        let records = part()?;
        let stream = part()?;
        let (is_secure, is_compressed) = (flags & SECURE != 0, flags & COMPRESSED != 0);
        if !is_secure && !records.is_empty() || !is_compressed && !stream.is_empty() {
            return None;
        }
        Some(Self {
            key,
            topic,
            deadline,
            stale: flags & STALE != 0,
            session,
            records: is_secure.then_some(records),
            stream: is_compressed.then_some(stream),
            partial: part()?,
            input: part()?,
            ready: part()?,
            plain: part()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 0..40)
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(
            numbers in any::<(u64, u64, u32, bool)>(),
            session in part(),
            records in proptest::option::of(part()),
            stream in proptest::option::of(part()),
            rest in [part(), part(), part(), part()],
            cut in any::<prop::sample::Index>(),
        ) {
            let [partial, input, ready, plain] = &rest;
            let row = PlainRow {
                key: numbers.0,
                topic: numbers.1,
                deadline: numbers.2,
                stale: numbers.3,
                session: &session,
                records: records.as_deref(),
                stream: stream.as_deref(),
                partial,
                input,
                ready,
                plain,
            };
            let mut bytes = Vec::new();
            row.write(&mut bytes);
            prop_assert_eq!(bytes.len(), row.bytes());
            row.write(&mut bytes);
            let mut left = &bytes[..];
            prop_assert_eq!(PlainRow::read(&mut left), Some(row.clone()));
            prop_assert_eq!(PlainRow::read(&mut left), Some(row));
            prop_assert_eq!(PlainRow::read(&mut left), None);
            // One that is cut short is none.
            let half = bytes.len() / 2;
            let mut short = &bytes[..cut.index(half)];
            prop_assert_eq!(PlainRow::read(&mut short), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
            let mut left = &bytes[..];
            while PlainRow::read(&mut left).is_some() {}
        }
    }
}
