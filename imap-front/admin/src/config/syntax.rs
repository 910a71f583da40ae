//! The syntax of `msg.conf`: `name = value` lines, blank lines, comments after `#`.

/// What a line holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing, or a comment.
    Blank,
    /// `name = value`, as written but for quotes.
    Entry {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it and what to change.
pub fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line::Blank);
    }
    let Some((name, rest)) = line.split_once('=') else {
        return Err("this is no `name = value`; put `#` before a comment".into());
    };
    let name = name.trim_end();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "\"#".contains(c)) {
        return Err("the name before `=` must be one word, such as service.imap.port".into());
    }
    let value = parse_value(rest.trim_start())?;
    Ok(Line::Entry {
        name: name.to_owned(),
        value,
    })
}

fn parse_value(text: &str) -> Result<String, String> {
    let (value, rest) = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            if text[..end].contains('"') {
                return Err("put quotes around the whole value".into());
            }
            if text.starts_with('#') {
                return Err("the value is missing; write \"\" for an empty one".into());
            }
            (text[..end].to_owned(), &text[end..])
        }
    };
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(format!(
            "`{rest}` follows the value; put quotes around a value with blanks"
        ));
    }
    Ok(value)
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("after a backslash only a quote or a backslash may follow".into()),
            },
            _ => value.push(c),
        }
    }
    Err("the closing quote is missing".into())
}

/// A value as it is written in a file and in listings: with quotes if it needs them.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/+@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, value: &str) -> Result<Line, String> {
        Ok(Line::Entry {
            name: name.into(),
            value: value.into(),
        })
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(parse("  # comment"), Ok(Line::Blank));
        assert_eq!(parse(""), Ok(Line::Blank));
        assert_eq!(parse("a.b = 1"), entry("a.b", "1"));
        assert_eq!(parse("a.b=1 # why"), entry("a.b", "1"));
        assert_eq!(
            parse(r#"a.b = "%h \"x\" \\ y" "#),
            entry("a.b", r#"%h "x" \ y"#)
        );
        assert_eq!(parse("a.b ="), entry("a.b", ""));
    }

    #[test]
    fn bad_lines_say_why() {
        for bad in [
            "word",
            "= 1",
            "a b = 1",
            "a = b c",
            "a = \"b",
            "a = \"b\" c",
            "a = b\"c",
            "a = \"\\x\"",
            "a = # comment",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(value in "[^\\p{Cc}]*") {
            prop_assert_eq!(parse(&format!("name = {}", quoted(&value))), entry("name", &value));
        }

        #[test]
        fn any_line_is_read_or_refused(line in "\\PC*") {
            let _ = parse(&line);
        }
    }
}
