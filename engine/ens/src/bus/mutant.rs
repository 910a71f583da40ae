//! Planted bugs, which the simulation must catch. Outside of this crate's own tests there are none.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant bugs"))]
pub(super) enum Mutant {
    /// A gap in an origin's numbers is not told.
    ForgetGap,
    /// What comes twice is heard twice.
    HearTwice,
    /// Digests are not looked at: the end of a stream may be missing.
    IgnoreDigests,
    /// What was not sent gets no number.
    NumberOnlySent,
    /// An origin that falls silent is not told of.
    ForgetSilence,
    /// What comes at the same time is taken as it comes.
    NoOrder,
    /// An event for a pool without members is not handed on.
    KeepPooled,
    /// A subscription of local scope hears other hosts.
    IgnoreScope,
    /// What a broker that ends has not taken for its pools goes nowhere.
    ForgetUntaken,
    /// A gap in what comes for pools is not told.
    ForgetStreamGap,
    /// What was sent last for pools is not looked for.
    IgnoreSent,
    /// What comes twice for pools is given twice.
    PoolTwice,
    /// A successor has to hear of pools elsewhere from others.
    ForgetPools,
}

#[cfg(test)]
impl Mutant {
    pub const ALL: [Self; 13] = [
        Self::ForgetGap,
        Self::HearTwice,
        Self::IgnoreDigests,
        Self::NumberOnlySent,
        Self::ForgetSilence,
        Self::NoOrder,
        Self::KeepPooled,
        Self::IgnoreScope,
        Self::ForgetUntaken,
        Self::ForgetStreamGap,
        Self::IgnoreSent,
        Self::PoolTwice,
        Self::ForgetPools,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in all machines of this thread, or removes it.
#[cfg(test)]
pub(super) fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Whether a bug is planted.
#[cfg(test)]
pub(super) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Whether a bug is planted: never.
#[cfg(not(test))]
pub(super) const fn planted(_mutant: Mutant) -> bool {
    false
}
