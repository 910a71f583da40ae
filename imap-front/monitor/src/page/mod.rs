//! The status page: facts to HTML, the same for who has just come and for who stays and is sent
//! what has changed.
//!
//! In reading order: [`facts`] (what is known), `words` (numbers for people), `charts`, `parts`
//! (the page's sections), this (all of it).

mod charts;
pub mod facts;
mod parts;
mod words;

use serde_json::{Map, Value};

use facts::Facts;
use words::escaped;

/// A file that the page needs: its path, its type, its text.
pub type File = (&'static str, &'static str, &'static str);

/// All of them.
pub const FILES: [File; 3] = [
    ("/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page.js"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("style.css"),
    ),
];
/// The type of the page.
pub const HTML: &str = "text/html; charset=utf-8";

/// The sections of the page as they are now: the id of each, and what is in it.
pub struct Sections(Vec<(&'static str, String)>);

impl Sections {
    /// Of these facts.
    pub fn of(facts: &Facts) -> Self {
        Self(parts::all(facts))
    }

    /// Those that are otherwise than before, or all, as JSON: ids and what is in them. None if
    /// nothing has changed.
    pub fn changes(&self, before: Option<&Self>) -> Option<String> {
        let is_new = |(number, section): &(usize, &(&str, String))| {
            before.is_none_or(|before| before.0.get(*number) != Some(section))
        };
        let new = self.0.iter().enumerate().filter(is_new);
        let pair = |(_, (id, html)): (usize, &(&str, String))| {
            ((*id).to_owned(), Value::from(html.as_str()))
        };
        let changed: Map<String, Value> = new.map(pair).collect();
        (!changed.is_empty()).then(|| Value::from(changed).to_string())
    }

    /// The whole page.
    pub fn page(&self, facts: &Facts) -> String {
        let host = escaped(&facts.host);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{host}: Ensign</title>\n\
             <link rel=\"icon\" href=\"/icon.svg\">\n\
             <link rel=\"stylesheet\" href=\"/style.css\">\n\
             <script src=\"/page.js\" defer></script>\n\
             <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n</head>\n<body>\n\
             <header><h1>{host}</h1><p id=\"live\" role=\"status\">as of its loading</p></header>\n\
             <main>\n"
        );
        for (id, html) in &self.0 {
            page.push_str(&format!("<section id=\"{id}\">{html}</section>\n"));
        }
        page.push_str(
            "</main>\n<footer><a href=\"/metrics\">/metrics</a> <a href=\"/healthz\">/healthz</a> \
             <a href=\"/readyz\">/readyz</a></footer>\n</body>\n</html>\n",
        );
        page
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::facts::{Certificate, Condition, Refused, Slow};
    use super::*;

    fn hostile() -> Facts {
        let evil = "<script>alert(\"'&'\")</script>".to_owned();
        Facts {
            host: evil.clone(),
            conditions: vec![Condition {
                text: evil.clone(),
                met: false,
                remedy: evil.clone(),
            }],
            certificates: vec![Certificate {
                file: evil.clone(),
                names: evil.clone(),
                days_left: -1,
            }],
            slow: vec![Slow {
                plane: "data",
                call: "Fetch",
                ms: 12,
                user: Some(evil.clone()),
            }],
            refused: vec![Refused {
                address: evil,
                why: "failed",
                count: 3,
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn nothing_that_others_chose_becomes_a_part_of_the_page() {
        let facts = hostile();
        let sections = Sections::of(&facts);
        let page = sections.page(&facts);
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 8, "{page}");
        // Nothing that the policy forbids, and nothing from elsewhere.
        for never in [
            "style=",
            "onclick",
            "javascript:",
            "http://",
            "https://",
            "<style",
        ] {
            assert!(!page.contains(never), "{never}");
        }
    }

    #[test]
    fn only_what_has_changed_is_sent() {
        let (one, mut facts) = (Sections::of(&hostile()), hostile());
        assert_eq!(one.changes(Some(&Sections::of(&facts))), None);
        facts.refused.clear();
        let two = Sections::of(&facts);
        let changed: Value = serde_json::from_str(&two.changes(Some(&one)).unwrap()).unwrap();
        assert_eq!(changed.as_object().unwrap().len(), 1);
        assert!(changed["refused"].is_string());
        let all: Value = serde_json::from_str(&two.changes(None).unwrap()).unwrap();
        assert_eq!(all.as_object().unwrap().len(), two.0.len());
        assert!(
            !two.changes(None).unwrap().contains('\n'),
            "an event is one line"
        );
    }
}
