//! What is promised of rows, of the commit marker, of saved indexes and of journals for any bytes
//! whatsoever: they are read or refused, and what was read is written as it was. Targets for
//! fuzzing; see `fuzz/`.

use mail::MailboxId;
use xxhash_rust::xxh3::xxh3_64;

use crate::commit_marker;
use crate::index_files;
use crate::inspect::journal as journals;
use crate::progress::{Progress, Touched};
use crate::rows::{Account, AclRow, Mailbox, MessageRow, Name, u64_row};

#[cfg(test)]
#[path = "../../../tests/fuzz/inputs.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod inputs;

/// A row; the first byte tells of which keyspace.
pub fn rows(data: &[u8]) {
    let Some((&space, row)) = data.split_first() else {
        return;
    };
    match space % 8 {
        0 => {
            if let Ok(account) = Account::decode(row) {
                assert_eq!(Account::decode(&account.encode()).ok(), Some(account));
            }
        }
        1 => {
            if let Ok(name) = Name::decode(row) {
                assert_eq!(Name::decode(&name.encode()).ok(), Some(name));
            }
        }
        2 => {
            if let Ok(mailbox) = Mailbox::decode(row) {
                let _ = mailbox.counts();
                assert_eq!(Mailbox::decode(&mailbox.encode()).ok(), Some(mailbox));
            }
        }
        3 => {
            if let Ok(message) = MessageRow::decode(row) {
                let _ = message.flags(&Mailbox::default());
                assert_eq!(MessageRow::decode(&message.encode()).ok(), Some(message));
            }
        }
        4 => {
            if let Ok(progress) = Progress::decode(row)
                && !progress.is_number_only
            {
                assert_eq!(Progress::decode(&progress.encode()).ok(), Some(progress));
            }
        }
        5 => {
            if let Ok(touched) = Touched::decode(row) {
                assert_eq!(Touched::decode(&touched.encode()).ok(), Some(touched));
            }
        }
        7 => {
            if let Ok(acl) = AclRow::decode(row) {
                assert_eq!(AclRow::decode(&acl.encode()).ok(), Some(acl));
            }
        }
        _ => assert_eq!(u64_row(row).is_ok(), row.len() == 8),
    }
}

/// A commit marker's file: one text for each number.
pub fn commit_marker(data: &[u8]) {
    let marked = commit_marker::parse(data);
    if let commit_marker::Marked::Commit(commit) = marked {
        assert_eq!(
            commit_marker::parse(commit_marker::text(commit).as_bytes()),
            marked
        );
        assert!(data.starts_with(format!("{commit:020}").as_bytes()));
    }
}

/// A saved index before its checksum: what is read is written as it was.
pub fn saved_index(data: &[u8]) {
    const ID: MailboxId = MailboxId(7);
    let file = [data, &xxh3_64(data).to_le_bytes()].concat();
    if let Ok(index) = index_files::decode(ID, &file) {
        let again = index_files::decode(ID, &index_files::encode(ID, &index));
        assert_eq!(again, Ok(index));
    }
}

/// A journal; the first byte tells what is known of the one before. Records stand in order and
/// apart, in their file.
pub fn journal(data: &[u8]) {
    let Some((&before, bytes)) = data.split_first() else {
        return;
    };
    let before = before.checked_sub(1).map(u64::from);
    let journal = journals::read(bytes, before, before.unwrap_or(0));
    let (mut end, mut sequence) = (0, None);
    for record in &journal.records {
        assert!(record.at.start >= end && record.at.start < record.at.end);
        assert!(sequence.is_none_or(|before| before < record.sequence));
        (end, sequence) = (record.at.end, Some(record.sequence));
    }
    assert!(end <= bytes.len());
    if let Some(unreadable) = journal.unreadable {
        assert!(unreadable.at < bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{inputs, *};

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

    #[test]
    fn any_bytes_are_rows_or_refused() {
        inputs::run(FOLDER, "rows", rows);
    }

    #[test]
    fn any_bytes_are_a_commit_marker_or_refused() {
        inputs::run(FOLDER, "commit_marker", commit_marker);
    }

    #[test]
    fn any_bytes_are_a_saved_index_or_refused() {
        inputs::run(FOLDER, "saved_index", saved_index);
    }

    #[test]
    fn any_bytes_are_a_journal_or_refused() {
        inputs::run(FOLDER, "journal", journal);
    }
}
