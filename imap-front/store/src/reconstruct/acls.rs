//! Access control lists, and what is noted of whom they let in.

use std::collections::BTreeMap;

use mail::{Grantee, MailboxId, ModSeq};

use super::survey::{Survey, number};
use crate::kv::Space;
use crate::logic::keys;
use crate::rows::AclRow;

/// Rows that should be there besides the lists: who is let in where, and how often.
type Noted = BTreeMap<Vec<u8>, Vec<u8>>;

/// Checks each list by its mailbox, and what is noted by the lists.
pub(super) fn check(survey: &mut Survey<'_>) {
    let (mut lists, mut noted) = (Vec::new(), Noted::new());
    survey.each(Space::Acls, |survey, key, row| match key.split_first() {
        Some((&keys::ACL, id)) => match (number(id).map(MailboxId), AclRow::decode(row)) {
            (Some(id), Ok(row)) => lists.push((id, row)),
            (id, _) => {
                let what = "its access control list can't be read: only its owner has rights now";
                survey.find(id, None, false, what);
                survey.repair.delete(Space::Acls, key.to_vec());
            }
        },
        Some((&(keys::GRANT | keys::GRANTS), _)) => {
            noted.insert(key.to_vec(), row.to_vec());
        }
        _ => survey.drop_row(Space::Acls, key),
    });
    let unread = &survey.unread;
    let is_whole = |space: Space| !unread.contains(space.name());
    if survey.is_underway
        || ![Space::Acls, Space::Mailboxes, Space::Names]
            .map(is_whole)
            .iter()
            .all(|it| *it)
    {
        return;
    }
    let mut should = Noted::new();
    for (id, row) in lists {
        if let Some(row) = check_list(survey, id, row) {
            row.acl
                .grantees()
                .for_each(|to| note(&mut should, to, id, &row));
        }
    }
    let mut wrong = 0;
    for key in noted.keys().filter(|key| !should.contains_key(*key)) {
        survey.repair.delete(Space::Acls, key.clone());
        wrong += 1;
    }
    for (key, row) in should {
        if noted.get(&key) != Some(&row) {
            survey.repair.put(Space::Acls, key, row);
            wrong += 1;
        }
    }
    if wrong > 0 {
        let what = format!("{wrong} notes of who is let in where are wrong; they are made anew");
        survey.find(None, None, false, what);
    }
}

/// The list as it is after a repair; none if it goes.
fn check_list(survey: &mut Survey<'_>, id: MailboxId, row: AclRow) -> Option<AclRow> {
    let key = keys::acl(id);
    let Some((mailbox, name)) = survey.mailbox(id) else {
        survey.repair.delete(Space::Acls, key);
        let what = "there is no such mailbox, but its access control list; it is dropped";
        survey.find(Some(id), None, false, what);
        return None;
    };
    if mailbox.acl_at == ModSeq(0) {
        // Its figures were lost, and nobody goes by the list.
        survey.repair.delete(Space::Acls, key);
        let what = "its access control list is not in force and is dropped";
        survey.find(Some(id), None, false, what);
        return None;
    }
    let mut right = row.clone();
    right.acl.owner = mailbox.user;
    right.name = name.unwrap_or(&row.name).to_owned();
    if right != row {
        survey.repair.put(Space::Acls, key, right.encode());
        let what = "its access control list had another owner or name; it has these now";
        survey.find(Some(id), None, false, what);
    }
    Some(right)
}

fn note(should: &mut Noted, to: Grantee, id: MailboxId, row: &AclRow) {
    let owner = row.acl.owner;
    should.insert(keys::grant(to, owner, id), vec![]);
    let key = keys::grant_count(to, owner);
    let count = should.get(&key).and_then(|row| number(row)).unwrap_or(0);
    should.insert(key, keys::number(count + 1));
}
