//! The texts for people, by language: `en.ftl` and its like (<https://projectfluent.org>).
//!
//! Code says a text in English, where it is needed. `en.ftl` gives those texts names, with
//! `{ $variables }` in the place of what differs, and the other files have them by the same names.
//! A text that the catalogs don't know, or that a language lacks, is told in English.
//!
//! Variants go by numbers, such as `[1]`: for plural categories the library would take a lock.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, PatternElement};

use super::Language;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::new(source));

/// Digits of a number that is handed on as one; a longer one is a text.
const DIGITS_MAX: usize = 9;

/// Reads the catalogs, so that no session has to wait for that.
pub fn prepare() {
    LazyLock::force(&CATALOG);
}

/// A text in a language other than English.
pub(super) fn text(language: Language, english: &str) -> Option<String> {
    CATALOG.text(language, english)
}

fn source(language: Language) -> &'static str {
    match language {
        Language::Default | Language::English => include_str!("en.ftl"),
        Language::German => include_str!("de.ftl"),
        Language::French => include_str!("fr.ftl"),
        Language::Spanish => include_str!("es.ftl"),
        Language::Japanese => include_str!("ja.ftl"),
    }
}

struct Catalog {
    /// The names of English texts without variables.
    plain: BTreeMap<String, String>,
    shapes: Vec<Shape>,
    /// By the numbers of the languages.
    bundles: Vec<FluentBundle<FluentResource>>,
}

/// An English text with variables.
struct Shape {
    name: String,
    start: String,
    /// Variables, and what follows each.
    variables: Vec<(String, String)>,
}

impl Catalog {
    fn new(source: fn(Language) -> &'static str) -> Self {
        let mut catalog = Self {
            plain: BTreeMap::new(),
            shapes: Vec::new(),
            bundles: Language::ALL.map(|it| bundle(it, source(it))).into(),
        };
        for entry in resource(source(Language::English)).entries() {
            catalog.add(entry);
        }
        catalog
    }

    fn add(&mut self, entry: &Entry<&str>) {
        let Entry::Message(message) = entry else {
            return;
        };
        let mut shape = Shape {
            name: message.id.name.to_owned(),
            start: String::new(),
            variables: Vec::new(),
        };
        for element in message.value.iter().flat_map(|it| &it.elements) {
            match element {
                PatternElement::TextElement { value } => match shape.variables.last_mut() {
                    Some((_, after)) => after.push_str(value),
                    None => shape.start.push_str(value),
                },
                PatternElement::Placeable {
                    expression: Expression::Inline(InlineExpression::VariableReference { id }),
                } => shape.variables.push((id.name.to_owned(), String::new())),
                PatternElement::Placeable { .. } => return,
            }
        }
        if shape.variables.is_empty() {
            self.plain.insert(shape.start, shape.name);
        } else {
            self.shapes.push(shape);
        }
    }

    fn text(&self, language: Language, english: &str) -> Option<String> {
        let (name, arguments) = match self.plain.get(english) {
            Some(name) => (name, None),
            None => {
                let mut found = self.shapes.iter().filter_map(|shape| {
                    let arguments = shape.arguments(english)?;
                    Some((&shape.name, Some(arguments)))
                });
                found.next()?
            }
        };
        let bundle = self.bundles.get(usize::from(language.number()))?;
        let pattern = bundle.get_message(name)?.value()?;
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, arguments.as_ref(), &mut errors);
        errors.is_empty().then(|| text.into_owned())
    }
}

impl Shape {
    /// What stands in the place of the variables, if a text has this shape.
    fn arguments<'t>(&'t self, text: &'t str) -> Option<FluentArgs<'t>> {
        let mut left = text.strip_prefix(&*self.start)?;
        let mut arguments = FluentArgs::new();
        for (at, (name, after)) in self.variables.iter().enumerate() {
            let end = match at + 1 == self.variables.len() {
                true => left.strip_suffix(&**after)?.len(),
                false => left.find(&**after)?,
            };
            let (value, rest) = left.split_at(end);
            arguments.set(&**name, argument(value));
            left = &rest[after.len()..];
        }
        Some(arguments)
    }
}

/// Numbers are told as such, as their words may depend on how many there are.
fn argument(value: &str) -> FluentValue<'_> {
    let is_number = value.len() <= DIGITS_MAX && value.bytes().all(|b| b.is_ascii_digit());
    match value.parse::<u32>() {
        Ok(number) if is_number => FluentValue::from(number),
        _ => FluentValue::from(value),
    }
}

fn resource(source: &str) -> FluentResource {
    // What can't be read is as good as missing; tests look for it.
    match FluentResource::try_new(source.to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    }
}

fn bundle(language: Language, source: &str) -> FluentBundle<FluentResource> {
    let tag = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Terminals would show the marks.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource(source));
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Names, and the variables of each.
    fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let resource = FluentResource::try_new(source(language).to_owned())
            .unwrap_or_else(|(_, errors)| panic!("{}: {errors:?}", language.tag()));
        let mut messages = BTreeMap::new();
        for entry in resource.entries() {
            let Entry::Message(message) = entry else {
                assert!(!matches!(entry, Entry::Junk { .. } | Entry::Term(_)));
                continue;
            };
            let text = format!("{:?}", message.value);
            let variables = text
                .split("VariableReference { id: Identifier { name: \"")
                .skip(1)
                .filter_map(|it| it.split('"').next().map(str::to_owned));
            let known = messages.insert(message.id.name.to_owned(), variables.collect());
            assert!(known.is_none(), "{} is there twice", message.id.name);
        }
        messages
    }

    #[test]
    fn each_language_has_each_text() {
        let english = messages(Language::English);
        for language in Language::ALL {
            assert_eq!(messages(language), english, "{}", language.tag());
        }
    }

    #[test]
    fn variants_go_by_numbers() {
        for language in Language::ALL {
            for category in ["zero", "one", "two", "few", "many", "other"] {
                assert!(!source(language).contains(&format!("[{category}]")));
            }
        }
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }

    /// As it stands in code, where a line may be continued on the next.
    fn joined(code: &str) -> String {
        let mut text = String::new();
        for (at, piece) in code.split("\\\n").enumerate() {
            text.push_str(if at == 0 { piece } else { piece.trim_start() });
        }
        text
    }

    /// A text that no code says any more would be translated in vain.
    #[test]
    fn the_code_says_each_text() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut paths = Vec::new();
        for part in ["proto/src/imap", "mail/src", "store/src", "server/src"] {
            sources(&root.join(part), &mut paths);
        }
        let code: String = paths
            .iter()
            .map(|path| joined(&std::fs::read_to_string(path).expect("readable")))
            .collect();
        let catalog = &*CATALOG;
        for text in catalog.plain.keys() {
            assert!(code.contains(&**text), "nobody says {text:?}");
        }
        for shape in &catalog.shapes {
            let after = shape.variables.iter().map(|(_, after)| after);
            for part in after.chain([&shape.start]) {
                assert!(code.contains(&**part), "nobody says {part:?}");
            }
        }
    }

    #[test]
    fn what_differs_is_taken_over() {
        let told = |text| Language::German.text(text);
        assert_eq!(
            told("expected a space at column 11").as_deref(),
            Some("erwartet in Spalte 11: a space")
        );
        assert_eq!(
            told("1 messages can't be read").as_deref(),
            Some("1 Nachricht ist nicht lesbar")
        );
        assert_eq!(
            told("12 messages can't be read").as_deref(),
            Some("12 Nachrichten sind nicht lesbar")
        );
        assert_eq!(told("another text"), None);
        assert_eq!(told(""), None);
    }

    #[test]
    fn what_a_language_lacks_is_told_in_english() {
        let lacking = Catalog::new(|language| match language {
            Language::German => "logged-in = Angemeldet\ncompleted = { $other } da\n",
            _ => include_str!("en.ftl"),
        });
        let told = |text| lacking.text(Language::German, text);
        assert_eq!(told("Logged in").as_deref(), Some("Angemeldet"));
        assert_eq!(told("Logging out"), None);
        assert_eq!(told("NOOP completed"), None);
    }
}
