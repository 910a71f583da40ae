//! The page of options for people, made from the table.

use std::fmt::Write as _;

use super::options;

/// `docs/options.md`: every option with its values, its default, when it takes effect, and what it
/// does, in the order of their names.
pub fn options_page() -> String {
    let mut page = String::from(
        "# Options\n\n\
         Set by `sbin/configutil -o NAME -v VALUE`, which writes `config/msg.conf`. A running\n\
         server takes those marked *refresh* at `sbin/refresh`, and others when it is started\n\
         again.\n\n\
         <!-- Written by `cargo xtask docs` from the table in imap-front/admin. -->\n",
    );
    let mut first_word = "";
    for option in options() {
        let word = option.name.split('.').next().unwrap_or_default();
        if word != first_word {
            first_word = word;
            let _ = write!(page, "\n## {word}\n\n");
            page.push_str("| option | values | default | takes effect | what it does |\n");
            page.push_str("|---|---|---|---|---|\n");
        }
        let default = match option.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let when = match option.refreshable {
            true => "refresh",
            false => "start",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {when} | {} |",
            option.name,
            cell(&option.kind.expected()),
            cell(&default),
            cell(option.help)
        );
    }
    page
}

/// Text that a table's cell can hold.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_option_has_a_row_of_five_cells() {
        let page = super::options_page();
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        assert_eq!(rows.len(), super::options().count());
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        }
    }
}
