//! What moves the logs of an installation away: a file for logrotate.

use std::fs;
use std::path::Path;

use admin::Config;
use anyhow::{Context, Result};

/// Where it stands below the base directory; a link in /etc/logrotate.d/ leads there.
pub const PATH: &str = "share/logrotate/ensign";

/// Writes it to `path`, for the base directory `prefix`.
pub fn write(path: &Path, prefix: &Path, config: &Config) -> Result<()> {
    let folder = path.parent().context("it lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let base = prefix.to_str().context("the base's path is no text")?;
    fs::write(path, text(base, config.value("service.user")))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The server opens its log again when it is told to; what the services print is cut short in
/// place. Everything is done by the service user: root follows nobody's links.
fn text(base: &str, user: &str) -> String {
    let quoted = base.replace('\'', "'\\''");
    format!(
        "\
\"{base}/log/imap\" {{
    su {user} {user}
    weekly
    rotate 8
    missingok
    notifempty
    nocreate
    compress
    delaycompress
    postrotate
        test ! -e '{quoted}/run/imapd.pid' || kill -HUP \"$(head -n 1 '{quoted}/run/imapd.pid')\"
    endscript
}}

\"{base}/log/*.out\" {{
    su {user} {user}
    weekly
    rotate 8
    missingok
    notifempty
    copytruncate
    compress
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_with_blanks_is_one_word() {
        let text = text("/opt/a b", "ensign");
        assert!(text.starts_with("\"/opt/a b/log/imap\" {\n    su ensign ensign\n"));
        assert!(text.contains("\"$(head -n 1 '/opt/a b/run/imapd.pid')\""));
    }
}
