//! Messages of a mailbox go as long as it has the name by which they were chosen.

use mail::{Refusal, Reply};

use super::numbering::Numbering;
use super::operation::{Step, refused};
use super::{Rules, bodies, changing, notifications, tables};
use crate::Error;
use crate::kv::Transaction;
use crate::put::Expiring;

impl Expiring {
    /// Removes some of the messages, from a place among them on, which is moved on.
    pub(super) fn go_on(
        &self,
        at: &mut usize,
        txn: &mut Transaction<'_>,
        rules: &Rules,
    ) -> Result<Step, Error> {
        let id = self.mailbox;
        let named = tables::name(txn, self.user, &self.name)?.mailbox;
        let Some(mut mailbox) = tables::mailbox(txn, id)?.filter(|_| named == Some(id)) else {
            let why = "it was renamed or deleted meanwhile: what is left stays";
            return refused(Refusal::Cannot(why));
        };
        let numbering = Numbering::of(txn, id, &mailbox)?;
        let max = rules.options.slice_messages;
        let (mut leaving, mut cost) = (Vec::new(), 0);
        for uid in self.uids.iter().skip(*at).take(max) {
            if cost > max * bodies::PIECES_A_MESSAGE {
                break;
            }
            *at += 1;
            let row = tables::message(txn, id, &mailbox, *uid)?;
            if let Some(row) = row.filter(|row| row.modseq <= self.unchanged_since) {
                cost += bodies::pieces(&row);
                leaving.push((*uid, row));
            }
        }
        let place = (id, &mut mailbox);
        let events = changing::remove(txn, rules, place, &numbering, &leaving, true)?;
        if !leaving.is_empty() {
            let account = tables::account(txn, mailbox.user)?;
            notifications::usage(txn, rules, mailbox.user, &account, false);
        }
        Ok(match *at < self.uids.len() {
            true => Step::More(events),
            false => Step::Done(Box::new(Reply::Done), events, None),
        })
    }
}
