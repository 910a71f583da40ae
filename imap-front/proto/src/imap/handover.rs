//! A parked session on its way to another process.

use bytes::{Buf, BufMut};
use mail::{MailboxId, ModSeq, Uid, UserId};

use super::language::Language;
use super::parked::Parked;

impl Parked {
    /// Appends all of it.
    pub fn hand_over(&self, output: &mut Vec<u8>) {
        let Self {
            user,
            mailbox,
            modseq,
            exists,
            recent_from,
            recent,
            heard_s,
            bits,
            modes,
            language,
            tag,
        } = *self;
        for number in [user.0, mailbox.0, modseq.0] {
            output.put_u64(number);
        }
        for number in [exists, recent_from.0, recent, heard_s] {
            output.put_u32(number);
        }
        output.put_u16(bits);
        output.put_u8(modes);
        output.put_u8(language.number());
        output.put_slice(&tag);
    }

    /// Takes one that another process has given away; none if these are not its bytes.
    pub fn taken_over(input: &mut &[u8]) -> Option<Self> {
        let mut parked = Self {
            user: UserId(input.try_get_u64().ok()?),
            mailbox: MailboxId(input.try_get_u64().ok()?),
            modseq: ModSeq(input.try_get_u64().ok()?),
            exists: input.try_get_u32().ok()?,
            recent_from: Uid(input.try_get_u32().ok()?),
            recent: input.try_get_u32().ok()?,
            heard_s: input.try_get_u32().ok()?,
            bits: input.try_get_u16().ok()?,
            modes: input.try_get_u8().ok()?,
            language: take_language(input)?,
            tag: [0; 12],
        };
        input.try_copy_to_slice(&mut parked.tag).ok()?;
        if parked.modes & !Self::MODES != 0 {
            return None;
        }
        if parked.withheld().is_some() {
            return Some(parked);
        }
        let (tag, rest) = parked.tag.split_at(parked.tag().len());
        let is_tag = tag.iter().all(u8::is_ascii_graphic) && rest.iter().all(|byte| *byte == 0);
        let is_whole = is_tag && (parked.idles() || tag.is_empty());
        is_whole.then_some(parked)
    }
}

/// The language of a session.
pub(super) fn take_language(input: &mut &[u8]) -> Option<Language> {
    let number = input.try_get_u8().ok()?;
    let language = Language::numbered(number);
    (language.number() == number).then_some(language)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_session_comes_out_as_it_went_in(
            large in any::<[u64; 3]>(),
            small in any::<[u32; 4]>(),
            bits in any::<u16>(),
            uid_only in any::<bool>(),
            (utf8, cleartext) in any::<(bool, bool)>(),
            language in proptest::sample::select(&Language::ALL[..]),
            idle in proptest::option::of("[!-~]{1,12}"),
            damage in any::<(prop::sample::Index, u8)>(),
        ) {
            let mut tag = [0; 12];
            let text = idle.as_deref().unwrap_or_default();
            tag[..text.len()].copy_from_slice(text.as_bytes());
            let parked = Parked {
                user: UserId(large[0]),
                mailbox: MailboxId(large[1]),
                modseq: ModSeq(large[2]),
                exists: small[0],
                recent_from: Uid(small[1]),
                recent: small[2],
                heard_s: small[3],
                bits,
                modes: (u8::from(idle.is_some()) * Parked::IDLING)
                    | (u8::from(uid_only) * Parked::UID_ONLY)
                    | (u8::from(utf8) * Parked::UTF8)
                    | (u8::from(cleartext) * Parked::CLEARTEXT),
                language,
                tag,
            };
            let mut bytes = Vec::new();
            parked.hand_over(&mut bytes);
            let mut left = &bytes[..];
            prop_assert_eq!(Parked::taken_over(&mut left), Some(parked));
            prop_assert!(left.is_empty());
            for length in 0..bytes.len() {
                prop_assert_eq!(Parked::taken_over(&mut &bytes[..length]), None);
            }
            // Damage is refused, or a session that is written so.
            let (at, byte) = damage;
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let mut withholding = parked;
            withholding.modes &= !Parked::IDLING;
            withholding.bits |= Parked::NOTIFIED | Parked::DELAYED;
            withholding.set_withheld(ModSeq(large[2]), small[0] | 1);
            let mut written = Vec::new();
            withholding.hand_over(&mut written);
            prop_assert_eq!(Parked::taken_over(&mut &written[..]), Some(withholding));
            if let Some(other) = Parked::taken_over(&mut &bytes[..]) {
                let mut again = Vec::new();
                other.hand_over(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
