//! The languages in which texts for people are told (RFC 5255 §3): which there are, and which a
//! client means. Their texts are in `catalog`.

mod catalog;

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;

pub use catalog::prepare;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English for everybody (RFC 2277 §4.5), until a client has asked for another.
    #[default]
    Default,
    /// English.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Japanese.
    Japanese,
}

impl Language {
    /// All of them, each at the place of its [`Language::number`].
    pub const ALL: [Self; 6] = [
        Self::Default,
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Japanese,
    ];

    /// Its tag (RFC 4646).
    pub fn tag(self) -> &'static str {
        match self {
            Self::Default => "i-default",
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    /// A number for it, which stays.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The language of a number; [`Language::Default`] if it is of none.
    pub fn numbered(number: u8) -> Self {
        let known = Self::ALL.get(usize::from(number));
        known.copied().unwrap_or_default()
    }

    /// The language that a client means by ranges, the first of which it likes best: that of a tag
    /// which is a range, or a range's beginning (RFC 4647 §3.4). `default` is the server's choice.
    pub fn of<'a>(ranges: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut takes_any = false;
        for range in ranges {
            takes_any |= range == "*";
            if range.eq_ignore_ascii_case("default") {
                return Some(Self::Default);
            }
            let mut left = range;
            while !left.is_empty() {
                let is_meant = |it: &Self| it.tag().eq_ignore_ascii_case(left);
                if let Some(language) = Self::ALL.into_iter().find(is_meant) {
                    return Some(language);
                }
                left = left.rsplit_once('-').map_or("", |(above, _)| above);
            }
        }
        takes_any.then_some(Self::Default)
    }

    /// Whether texts are told as they stand in the code.
    pub(super) fn is_as_written(self) -> bool {
        matches!(self, Self::Default | Self::English)
    }

    /// A text of the code in this language; none if it is told as it stands.
    pub fn text(self, english: &str) -> Option<String> {
        match self.is_as_written() {
            true => None,
            false => catalog::text(self, english),
        }
    }

    /// A response with its text in this language.
    pub(super) fn line(self, line: &str) -> Cow<'_, str> {
        if self.is_as_written() {
            return Cow::Borrowed(line);
        }
        let told = text_start(line).and_then(|at| Some((at, self.text(&line[at..])?)));
        match told {
            Some((at, text)) => Cow::Owned(format!("{}{text}", &line[..at])),
            None => Cow::Borrowed(line),
        }
    }

    /// What an idling client is told from time to time, with its line end.
    pub fn still_here(self) -> Bytes {
        static LINES: LazyLock<[Bytes; Language::ALL.len()]> = LazyLock::new(|| {
            const LINE: &str = "* OK Still here\r\n";
            Language::ALL.map(|language| match language.line(LINE.trim_end()) {
                Cow::Borrowed(_) => Bytes::from_static(LINE.as_bytes()),
                Cow::Owned(line) => Bytes::from(format!("{line}\r\n")),
            })
        });
        LINES[usize::from(self.number())].clone()
    }
}

/// Where the text of a response begins that has one.
///
/// ```text
/// resp-cond-state  = ("OK" / "NO" / "BAD") SP resp-text      ; RFC 3501 §9, with a tag or *
/// resp-cond-bye    = "BYE" SP resp-text
/// continue-req     = "+" SP (resp-text / base64) CRLF
/// resp-text        = ["[" resp-text-code "]" SP] text
/// ```
fn text_start(line: &str) -> Option<usize> {
    let (tag, rest) = line.split_once(' ')?;
    if tag == "+" {
        return Some(line.len() - rest.len());
    }
    let (word, mut text) = rest.split_once(' ')?;
    if !["OK", "NO", "BAD", "BYE"].contains(&word) {
        return None;
    }
    if text.starts_with('[') {
        text = text.split_once("] ")?.1;
    }
    Some(line.len() - text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_the_nearest_language() {
        for (ranges, expected) in [
            ("DE", Some(Language::German)),
            ("fr-CA en-CA", Some(Language::French)),
            ("it nl-NL en-CA fr", Some(Language::English)),
            ("zh-Hant-TW ja-JP", Some(Language::Japanese)),
            ("I-Default", Some(Language::Default)),
            ("xx Default de", Some(Language::Default)),
            ("* es", Some(Language::Spanish)),
            ("* xx", Some(Language::Default)),
            ("i-klingon", None),
            ("deutsch", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(Language::of(ranges.split(' ')), expected, "{ranges}");
        }
    }

    #[test]
    fn each_has_a_number() {
        for language in Language::ALL {
            assert_eq!(Language::numbered(language.number()), language);
        }
        assert_eq!(Language::numbered(7), Language::Default);
    }

    #[test]
    fn only_texts_are_told_in_other_words() {
        let line = |line| Language::German.line(line).into_owned();
        assert_eq!(line("* BYE Logging out"), "* BYE Abmeldung");
        assert_eq!(
            line("a OK [READ-ONLY] EXAMINE completed"),
            "a OK [READ-ONLY] EXAMINE ausgeführt"
        );
        for same in [
            "* FLAGS (OK NOOP completed)",
            "* LIST () \"/\" \"Logging out\"",
            "+ UGFzc3dvcmQ6",
            "a OK",
            "* OK [UNSEEN",
            "Logging out",
        ] {
            assert_eq!(line(same), same);
        }
        assert_eq!(Language::English.line("a OK x"), "a OK x");
        let told = Language::Japanese.still_here();
        assert!(told.starts_with(b"* OK ") && told.ends_with(b"\r\n") && !told.is_ascii());
    }
}
