//! Planted bugs, which the simulation must catch: a harness that never failed proves nothing.
//! Outside of this crate's own tests none of them exists.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant bugs"))]
pub(crate) enum Mutant {
    /// What is put into queues wakes nobody.
    SkipWake,
    /// Events that found their queue full are forgotten.
    SilentLoss,
    /// A row that lost events while it was busy is not told.
    ForgetStale,
    /// A row whose client takes bytes again is not caught up.
    ForgetBlocked,
    /// What a client is owed is sent twice.
    DoubleSend,
    /// A connection is closed although its last output has not left.
    HastyClose,
    /// What was sealed and did not leave is sealed again.
    SealTwice,
    /// What was sealed and did not leave is forgotten.
    LoseSealed,
    /// What is sealed last leaves first.
    SealOutOfOrder,
    /// An answer of the record layer is sealed and not sent.
    LoseAnswer,
    /// News leave unsealed.
    Unsealed,
    /// `close_notify` leaves before the last output.
    HastyNotify,
    /// A further watch that missed events while its row was busy is not caught up.
    ForgetFurther,
}

#[cfg(test)]
impl Mutant {
    pub const ALL: [Self; 13] = [
        Self::SkipWake,
        Self::SilentLoss,
        Self::ForgetStale,
        Self::ForgetBlocked,
        Self::DoubleSend,
        Self::HastyClose,
        Self::SealTwice,
        Self::LoseSealed,
        Self::SealOutOfOrder,
        Self::LoseAnswer,
        Self::Unsealed,
        Self::HastyNotify,
        Self::ForgetFurther,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in all shards of this thread, or removes it.
#[cfg(test)]
pub(crate) fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Whether a bug is planted.
#[cfg(test)]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Whether a bug is planted: never.
#[cfg(not(test))]
pub(crate) const fn planted(_mutant: Mutant) -> bool {
    false
}
