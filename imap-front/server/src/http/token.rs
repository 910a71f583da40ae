//! The token, in a file that is the service user's alone.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use aws_lc_rs::rand;
use monitor::http::Token;

/// Bytes of chance in a token that is made here.
const BYTES: usize = 32;
const MODE: u32 = 0o600;
/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 4096;

/// The token of a file, which is made if it isn't there.
pub(super) fn read_or_make(path: &Path) -> io::Result<Token> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Ok(there) if there.len() > FILE_BYTES_MAX => {
            return Err(named(io::Error::other("this is no token, it is too long")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).map_err(named)?,
        Err(error) => return Err(named(error)),
    }
    let text = fs::read_to_string(path).map_err(named)?;
    Token::new(&text).map_err(|why| named(io::Error::other(why)))
}

fn make(path: &Path) -> io::Result<()> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("there is no chance"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    admin::files::replace(path, MODE, |file| writeln!(file, "{digits}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), made);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        let said = read_or_make(&path).unwrap_err().to_string();
        assert!(said.contains("token: a token has 32 letters"), "{said}");
    }
}
