//! Names of mailboxes that can be ours.

use mail::MailboxName;

/// A name that can be created here, as like another as may be: what no name may have becomes `_`.
pub fn creatable(name: &str) -> MailboxName {
    let fit = |letter: char| match letter {
        '%' | '*' => '_',
        letter if letter.is_control() => '_',
        letter => letter,
    };
    let levels = name.split('/').filter(|level| !level.is_empty());
    let mut levels: Vec<String> = levels
        .map(|level| level.chars().map(fit).collect())
        .collect();
    // Too deep: the last levels become one.
    let deepest = mail::name::LEVELS_MAX;
    if levels.len() > deepest {
        let last = levels.split_off(deepest - 1).join("_");
        levels.push(last);
    }
    let mut text = levels.join("/");
    while text.len() > mail::name::NAME_BYTES_MAX {
        text.pop();
    }
    match text.is_empty() {
        true => MailboxName::new("_"),
        false => MailboxName::new(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_created() {
        for (name, expected) in [
            ("inbox/Sub", "INBOX/Sub"),
            ("Entw\u{fc}rfe/A b", "Entw\u{fc}rfe/A b"),
            ("100%/*", "100_/_"),
            ("a//b/", "a/b"),
            ("x\ty", "x_y"),
            ("", "_"),
        ] {
            let found = creatable(name);
            assert_eq!(found.as_str(), expected);
            assert_eq!(found.creatable(), Ok(()), "{name}");
        }
        let deep = vec!["a"; 60].join("/");
        assert_eq!(creatable(&deep).creatable(), Ok(()));
        let long = "\u{fc}".repeat(900);
        assert_eq!(creatable(&long).creatable(), Ok(()));
    }
}
