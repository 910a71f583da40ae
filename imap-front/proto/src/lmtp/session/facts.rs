//! What a transaction is, for its host's log.

use mail::request::Target;

use super::Session;

impl Session {
    /// Where the message of the transaction goes that is under way, no target twice.
    pub fn targets(&self) -> &[Target] {
        let transaction = self.transaction.as_deref();
        transaction.map_or(&[], |transaction| &transaction.targets)
    }

    /// Its recipients' addresses, each with the place of its target among these.
    pub fn recipients(&self) -> impl Iterator<Item = (&str, usize)> {
        let transaction = self.transaction.as_deref().into_iter();
        let recipients = transaction.flat_map(|transaction| &transaction.recipients);
        recipients.map(|(address, target)| (&**address, *target))
    }
}
