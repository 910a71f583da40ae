//! `run/PROGRAM.refreshed`: what a service says once it has read its configuration again. Empty is
//! all is well; else a line for each thing that could not be taken.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::files;

const MODE: u32 = 0o600;
/// More is not read of a service's answer.
const BYTES_MAX: u64 = 64 << 10;

/// Answers whoever asked for it, from within the service.
///
/// # Errors
/// If the file can't be written.
pub fn write(path: &Path, refused: &[String]) -> io::Result<()> {
    let text: String = refused.iter().map(|why| format!("{why}\n")).collect();
    files::replace(path, MODE, |to| to.write_all(text.as_bytes()))
}

/// An answer that is given from now on is one to this question.
pub(super) fn expect(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was refused, if the service has answered. The folder is the service user's: a link in it
/// leads nowhere, and control characters do nothing to a terminal.
pub(super) fn answer(path: &Path) -> io::Result<Option<Vec<String>>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(files::FOREIGN).open(path);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("this is no file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let plain = |line: &str| line.replace(char::is_control, "?");
    Ok(Some(text.lines().map(plain).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_to_the_last_question_and_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("imapd.refreshed");
        expect(&path).unwrap();
        assert_eq!(answer(&path).unwrap(), None);
        write(&path, &["a: no".to_owned(), "b\u{1b}[2J".to_owned()]).unwrap();
        let refused = answer(&path).unwrap().unwrap();
        assert_eq!(refused, ["a: no", "b?[2J"]);
        expect(&path).unwrap();
        assert_eq!(answer(&path).unwrap(), None);
        write(&path, &[]).unwrap();
        assert_eq!(answer(&path).unwrap(), Some(vec![]));
        expect(&path).unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        assert!(answer(&path).is_err());
    }
}
