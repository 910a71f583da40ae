//! Files of lines, `msg.conf` and `users`: what is wrong with one is told with its line's number,
//! and a change keeps all other lines and comments.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::files::{self, Lock};

/// Why a file of lines can't be used or changed: one line that says where and what.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line that is not in order.
    #[error("{}, line {line}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong and what to change.
        reason: String,
    },
    /// The file can't be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl LinesError {
    /// A line of `file`, by its number from 1, and what is wrong with it.
    pub fn line(file: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Line {
            file: file.to_owned(),
            line,
            reason: reason.into(),
        }
    }

    /// What can't be done with `file`.
    pub fn file(file: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |cause| Self::File {
            file: file.to_owned(),
            cause,
        }
    }
}

/// What becomes of a line.
pub enum LineEdit {
    /// It stays as it is.
    Keep,
    /// It goes.
    Drop,
    /// This stands in its place, its end included.
    Replace(String),
}

/// Calls `take` with each line, without its end, and its number from 1. A file that doesn't exist
/// has none.
///
/// # Errors
/// If the file can't be read, or `take` fails.
pub fn each<E: From<LinesError>>(
    path: &Path,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let failed = LinesError::file(path);
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::with_capacity(64 * 1024, file),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed(cause).into()),
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        take(number, line.strip_suffix(b"\n").unwrap_or(&line))?;
    }
    Ok(())
}

/// A file that is being changed: nobody else changes it meanwhile.
pub struct Editor<'a> {
    path: &'a Path,
    mode: u32,
    _lock: Lock,
}

impl<'a> Editor<'a> {
    /// Waits for the file's lock. A new file gets `mode`.
    ///
    /// # Errors
    /// If the lock can't be had.
    pub fn wait(path: &'a Path, mode: u32) -> Result<Self, LinesError> {
        let lock = Lock::wait(path).map_err(LinesError::file(path))?;
        Ok(Self {
            path,
            mode,
            _lock: lock,
        })
    }

    /// Writes the file anew: its lines as `decide` says, or `heading` if it doesn't exist, and then
    /// what `add` writes. If that fails the file stays as it is.
    ///
    /// # Errors
    /// What `add` gives, or why the file can't be read or written.
    pub fn rewrite<E: From<LinesError>>(
        &self,
        heading: &str,
        mut decide: impl FnMut(&str) -> LineEdit,
        add: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = LinesError::file(self.path);
        let mut refused = None;
        let replaced = files::replace(self.path, self.mode, |to| {
            if !self.path.exists() {
                to.write_all(heading.as_bytes())?;
            }
            let copied = each(self.path, |_, line| {
                copy(line, to, &mut decide).map_err(failed)
            });
            copied
                .map_err(E::from)
                .and_then(|()| add(to))
                .map_err(|error| {
                    refused = Some(error);
                    io::Error::other("refused")
                })
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(replaced.map_err(failed)?),
        }
    }
}

/// Bytes that are no text, blank lines and comments are nobody's to decide about.
fn copy(
    line: &[u8],
    to: &mut dyn Write,
    decide: &mut impl FnMut(&str) -> LineEdit,
) -> io::Result<()> {
    let edit = match std::str::from_utf8(line) {
        Ok(text) if !is_blank(line) => decide(text),
        _ => LineEdit::Keep,
    };
    match edit {
        LineEdit::Keep => {
            to.write_all(line)?;
            to.write_all(b"\n")
        }
        LineEdit::Drop => Ok(()),
        LineEdit::Replace(text) => to.write_all(text.as_bytes()),
    }
}

/// Whether a line holds nothing or a comment.
pub fn is_blank(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"#")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, fail: bool) -> (String, Result<(), LinesError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        let editor = Editor::wait(&path, 0o600).unwrap();
        let done = editor.rewrite(
            "# heading\n",
            |line| match line {
                "a" => LineEdit::Drop,
                "b" => LineEdit::Replace("B\n".into()),
                _ => LineEdit::Keep,
            },
            |to| match fail {
                true => Err(LinesError::line(&path, 7, "no")),
                false => to.write_all(b"end\n").map_err(LinesError::file(&path)),
            },
        );
        (std::fs::read_to_string(&path).unwrap(), done)
    }

    #[test]
    fn other_lines_stay() {
        let (text, done) = rewritten("# a\na\n\nb\nc", false);
        done.unwrap();
        assert_eq!(text, "# a\n\nB\nc\nend\n");
    }

    #[test]
    fn what_fails_changes_nothing() {
        let (text, done) = rewritten("a\nb\n", true);
        assert!(done.unwrap_err().to_string().ends_with("file, line 7: no"));
        assert_eq!(text, "a\nb\n");
    }
}
