//! What a SEARCH or SORT has saved, to be asked for as `$` (RFC 5182).
//!
//! It lies beside the selected mailbox and goes with it. Messages that are expunged are in no view
//! any more, so `$` leaves them out by itself.

use std::sync::Arc;

use mail::{UidRanges, UidSet};

use super::Session;
use crate::imap::ast::SearchReturn;

/// Bytes of a saved result.
const SAVED_BYTES_MAX: usize = 128 << 10;
/// Runs of messages in one: a command that names it asks for each.
const SAVED_RANGES_MAX: usize = 16 << 10;

impl Session {
    /// What is saved.
    pub(super) fn saved(&self) -> Arc<UidSet> {
        let saved = self.selected.as_ref().map(|it| it.saved.clone());
        saved.unwrap_or_default()
    }

    /// What is saved, as ranges of UIDs.
    pub(super) fn saved_ranges(&self) -> UidRanges {
        UidSet::clone(&self.saved()).into_ranges().collect()
    }

    /// Bytes of what is saved.
    pub(super) fn saved_bytes(&self) -> usize {
        match &self.selected {
            Some(selected) if !selected.saved.is_empty() => selected.saved.bytes(),
            _ => 0,
        }
    }

    /// Saves a result, if it is to be saved (RFC 5182 §2.1). False if it can't be; then nothing
    /// is saved.
    pub(super) fn save(
        &mut self,
        returns: &[SearchReturn],
        result: impl FnOnce() -> Option<UidSet>,
    ) -> bool {
        if !returns.contains(&SearchReturn::Save) {
            return true;
        }
        let ranges = |it: &UidSet| it.clone().into_ranges().take(SAVED_RANGES_MAX + 1).count();
        let fits = |it: &UidSet| it.bytes() <= SAVED_BYTES_MAX && ranges(it) <= SAVED_RANGES_MAX;
        let result = result().filter(fits);
        let is_saved = result.is_some();
        if let Some(selected) = &mut self.selected {
            selected.saved = Arc::new(result.unwrap_or_default());
        }
        is_saved
    }

    /// A SEARCH with SAVE that ends in NO leaves nothing saved.
    pub(super) fn forget_saved(&mut self, returns: Option<&[SearchReturn]>) {
        let saves = returns.is_some_and(|returns| returns.contains(&SearchReturn::Save));
        if let (true, Some(selected)) = (saves, &mut self.selected) {
            selected.saved = Arc::default();
        }
    }
}

/// What of a result is saved: all of it, unless no more than its ends or a part of it is asked for
/// (RFC 5182 §2.4, RFC 9394 §3.2).
pub(super) fn of_result(
    returns: &[SearchReturn],
    all: &UidSet,
    (first, last): (Option<mail::Uid>, Option<mail::Uid>),
    partial: Option<&UidSet>,
) -> UidSet {
    let asks = |option| returns.contains(&option);
    let ends = asks(SearchReturn::Min) || asks(SearchReturn::Max);
    let whole = asks(SearchReturn::All) || asks(SearchReturn::Count);
    if whole || !ends && partial.is_none() {
        return all.clone();
    }
    let mut some = partial.cloned().unwrap_or_default();
    some.extend(first.filter(|_| asks(SearchReturn::Min)));
    some.extend(last.filter(|_| asks(SearchReturn::Max)));
    some
}
