//! LANGUAGE (RFC 5255 §3).

use super::Session;
use crate::imap::encode;
use crate::imap::language::Language;
use crate::imap::output::Line;

impl Session {
    /// RFC 5255 §3.2: lists the languages, or takes the first that is meant by one of the ranges.
    pub(super) fn choose_language(&mut self, tag: Box<str>, ranges: &[Box<str>]) {
        if ranges.is_empty() {
            let tags = Language::ALL.map(Language::tag).join(" ");
            self.say(&format!("* LANGUAGE ({tags})"));
            return self.finish(tag, "OK LANGUAGE completed");
        }
        let Some(language) = Language::of(ranges.iter().map(|range| &**range)) else {
            return self.done(&tag, "NO [CANNOT] None of these languages is known here");
        };
        self.say(&format!("* LANGUAGE ({})", language.tag()));
        self.language = language;
        if self.user.is_some() {
            self.namespace();
        }
        self.finish(tag, "OK LANGUAGE completed");
    }

    /// What people call a namespace, if they call it otherwise in their language.
    ///
    /// ```text
    /// translation = DQUOTE "TRANSLATION" DQUOTE SP "(" string ")"    ; RFC 5255 §3.5
    /// ```
    pub(super) fn push_translation(&self, line: &mut Vec<u8>, prefix: &str) {
        let name = prefix.trim_end_matches('/');
        if let Some(told) = self.language.text(name) {
            line.extend_from_slice(b" \"TRANSLATION\" (");
            encode::name_string(line, &format!("{told}/"), self.name_form);
            line.push(b')');
        }
    }

    /// A text of the code as the client is told it.
    pub(super) fn worded(&self, english: &str) -> String {
        let told = self.language.text(english);
        told.unwrap_or_else(|| english.to_owned())
    }

    /// A whole line that is said later.
    pub(super) fn line(&self, line: String) -> Line {
        Line::new(format!("{}\r\n", self.language.line(&line)))
    }
}
