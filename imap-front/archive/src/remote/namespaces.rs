//! Which of a server's names are the user's own.

use imap_codec::imap_types::extensions::namespace::Namespace;

use super::Listed;

/// What of a server's names is the user's own: the beginnings of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub(super) own: Vec<Vec<u8>>,
    pub(super) others: Vec<Vec<u8>>,
}

impl Namespaces {
    /// What a mailbox of the user's own is to be called; none if it is somebody else's.
    pub fn own(&self, listed: &Listed) -> Option<String> {
        let has = |prefix: &Vec<u8>| !prefix.is_empty() && listed.raw.starts_with(prefix);
        if self.others.iter().any(has) {
            return None;
        }
        let prefix = self.own.iter().find(|prefix| has(prefix));
        let name = match prefix {
            // Everything lies below INBOX there.
            Some(prefix) => {
                let levels =
                    prefix.len() - usize::from(prefix.ends_with(b".") || prefix.ends_with(b"/"));
                let above = String::from_utf8_lossy(&prefix[..levels]).into_owned();
                let below = listed.name.strip_prefix(&above).unwrap_or(&listed.name);
                below.trim_start_matches('/').to_owned()
            }
            None => listed.name.clone(),
        };
        Some(name).filter(|name| !name.is_empty())
    }
}

pub(super) fn prefixes(all: &[Namespace<'_>]) -> Vec<Vec<u8>> {
    all.iter().map(|it| it.prefix.as_ref().to_vec()).collect()
}
