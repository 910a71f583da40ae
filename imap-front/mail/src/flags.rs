//! Message flags and keywords (RFC 3501 §2.3.2). `\Recent` is not here: it belongs to a session.

use std::sync::Arc;

/// A system flag that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Answered`
    Answered = 1,
    /// `\Flagged`
    Flagged = 2,
    /// `\Deleted`
    Deleted = 4,
    /// `\Seen`
    Seen = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// All system flags, in the order in which they are listed to clients.
    pub const ALL: [SystemFlag; 5] = [
        Self::Answered,
        Self::Flagged,
        Self::Deleted,
        Self::Seen,
        Self::Draft,
    ];

    /// The flag's name with its backslash.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
        }
    }
}

/// The flags of one message: system flags as bits, keywords sorted, unique without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: Vec<Arc<str>>,
}

impl Flags {
    /// Flags from system bits (as [`Flags::system_bits`] gives) and keywords in any order.
    pub fn new(system: u8, keywords: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut flags = Self {
            system: system & 31,
            keywords: Vec::new(),
        };
        for keyword in keywords {
            flags.insert_keyword(keyword);
        }
        flags
    }

    /// The system flags as a bit set of [`SystemFlag`] values.
    pub fn system_bits(&self) -> u8 {
        self.system
    }

    /// The keywords, sorted.
    pub fn keywords(&self) -> &[Arc<str>] {
        &self.keywords
    }

    /// Whether the system flag is set.
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Whether the keyword is set; keywords compare without regard to ASCII case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.position(keyword).is_ok()
    }

    /// Sets a system flag.
    pub fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Clears a system flag.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.system &= !(flag as u8);
    }

    /// Sets a keyword; the spelling that came first stays.
    pub fn insert_keyword(&mut self, keyword: Arc<str>) {
        if let Err(at) = self.position(&keyword) {
            self.keywords.insert(at, keyword);
        }
    }

    /// True if neither a system flag nor a keyword is set.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// Adds all of `other`'s flags.
    pub fn union(&mut self, other: &Flags) {
        self.system |= other.system;
        for keyword in &other.keywords {
            self.insert_keyword(keyword.clone());
        }
    }

    /// Removes all of `other`'s flags.
    pub fn subtract(&mut self, other: &Flags) {
        self.system &= !other.system;
        self.keywords.retain(|keyword| !other.has_keyword(keyword));
    }

    fn position(&self, keyword: &str) -> Result<usize, usize> {
        let folded = |s: &str| {
            s.bytes()
                .map(|b| b.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        let wanted = folded(keyword);
        self.keywords
            .binary_search_by(|have| folded(have).cmp(&wanted))
    }
}
