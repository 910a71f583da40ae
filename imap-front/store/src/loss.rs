//! What a store has lost, and the copies of what is damaged.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mail::InternalDate;

/// Faults that are told one by one.
const FAULTS_TOLD: usize = 8;
/// Folders of damaged files of one day.
const FOLDERS_MAX: u32 = 1000;

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, or folder.
    pub file: PathBuf,
    /// What is wrong.
    pub what: String,
}

impl Fault {
    pub(crate) fn new(file: &Path, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn missing(file: &Path) -> Self {
        Self::new(file, "it is missing")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// A store that ends before what was durable, or whose files are damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The store's folder.
    pub folder: PathBuf,
    /// The last commit that is there.
    pub ends_at: u64,
    /// The last commit that was durable, as far as is known.
    pub durable: u64,
    /// Commits before the end that are not there: the first and the last of each stretch.
    pub gaps: Vec<(u64, u64)>,
    /// What is wrong, file by file.
    pub faults: Vec<Fault>,
    /// Where copies of the damaged files are.
    pub copies: Option<PathBuf>,
}

impl Loss {
    /// How many commits are known to be gone.
    pub fn commits(&self) -> u64 {
        let gaps = self.gaps.iter().map(|(first, last)| last - first + 1);
        self.durable.saturating_sub(self.ends_at) + gaps.sum::<u64>()
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            folder,
            ends_at,
            durable,
            ..
        } = self;
        let folder = folder.display();
        match self.commits() {
            0 => write!(
                f,
                "the store in {folder}, whose last commit is {ends_at}, is damaged"
            )?,
            lost if ends_at < durable => write!(
                f,
                "the store in {folder} ends at commit {ends_at}, but {durable} was durable: \
                 {lost} commits are lost"
            )?,
            lost => write!(
                f,
                "the store in {folder} goes to commit {ends_at}, but {lost} commits before it are \
                 lost"
            )?,
        }
        for fault in self.faults.iter().take(FAULTS_TOLD) {
            write!(f, "; {fault}")?;
        }
        if self.faults.len() > FAULTS_TOLD {
            write!(f, "; and {} more", self.faults.len() - FAULTS_TOLD)?;
        }
        match &self.copies {
            Some(copies) => write!(f, "; copies of the files are in {}", copies.display()),
            None => Ok(()),
        }
    }
}

/// Copies files of the store's folder to a new folder `damaged-DATE` in it, unless the same copies
/// are there already. Gives that folder; none if none of the files is there.
///
/// # Errors
/// If they can't be copied.
pub(crate) fn set_aside(
    data: &Path,
    files: &[PathBuf],
    now: InternalDate,
) -> io::Result<Option<PathBuf>> {
    let files: Vec<&PathBuf> = files.iter().filter(|file| file.is_file()).collect();
    if files.is_empty() {
        return Ok(None);
    }
    let copy_in = |folder: &Path, file: &Path| folder.join(file.strip_prefix(data).unwrap_or(file));
    for number in 1..=FOLDERS_MAX {
        let folder = data.join(folder_name(now, number));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        match made {
            Ok(()) => {
                for file in files {
                    copy(file, &copy_in(&folder, file))?;
                }
                fs::File::open(&folder)?.sync_all()?;
                return Ok(Some(folder));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let are_copied = files
                    .iter()
                    .map(|file| is_same(file, &copy_in(&folder, file)))
                    .collect::<io::Result<Vec<bool>>>()?;
                if are_copied.iter().all(|is_same| *is_same) {
                    return Ok(Some(folder));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(
        "there are too many folders of damaged files",
    ))
}

fn folder_name(now: InternalDate, number: u32) -> String {
    let (year, month, day) = civil(now.unix_s.div_euclid(86_400));
    match number {
        1 => format!("damaged-{year:04}-{month:02}-{day:02}"),
        _ => format!("damaged-{year:04}-{month:02}-{day:02}-{number}"),
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut left) = (
        1970 + days.div_euclid(146_097) * 400,
        days.rem_euclid(146_097),
    );
    while left >= 365 + i64::from(is_leap(year)) {
        left -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < length {
            return (year, month, left + 1);
        }
        left -= length;
    }
    unreachable!("a year has not more days than its months")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut copy = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    io::copy(&mut fs::File::open(from)?, &mut copy)?;
    copy.sync_all()
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let other = match fs::File::open(other) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let one = fs::File::open(one)?;
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut others = io::BufReader::new(other).bytes();
    for byte in io::BufReader::new(one).bytes() {
        let other = others.next().transpose()?;
        if other != Some(byte?) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_783), (2026, 11, 26));
        assert_eq!(civil(-1), (1969, 12, 31));
    }

    #[test]
    fn copies_are_made_once_and_never_written_over() {
        let data = tempfile::tempdir().expect("a folder");
        let file = data.path().join("db/0.jnl");
        fs::create_dir(data.path().join("db")).expect("made");
        let now = InternalDate {
            unix_s: 1_795_729_000,
            zone_min: 0,
        };
        let aside = |text: &[u8]| {
            fs::write(&file, text).expect("written");
            set_aside(data.path(), std::slice::from_ref(&file), now).expect("copied")
        };
        let first = aside(b"one").expect("a folder");
        assert_eq!(aside(b"one"), Some(first.clone()));
        let second = aside(b"two").expect("a folder");
        assert_ne!(first, second);
        assert_eq!(aside(b"one"), Some(first.clone()));
        assert_eq!(fs::read(first.join("db/0.jnl")).expect("there"), b"one");
        assert_eq!(fs::read(second.join("db/0.jnl")).expect("there"), b"two");
        let gone = data.path().join("db/1.jnl");
        assert_eq!(set_aside(data.path(), &[gone], now).expect("reads"), None);
    }
}
