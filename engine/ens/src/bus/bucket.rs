//! Buckets: subjects of the bus are these, and never single keys.

use xxhash_rust::xxh3::xxh3_64;

use super::mutant::{Mutant, planted};
use crate::event_ref::Pattern;

/// How many there are.
pub const BUCKETS: u16 = 1024;

/// The bucket of a decoded key. All brokers of a site have to agree on it.
pub fn bucket_of(key: &str) -> u16 {
    (xxh3_64(key.as_bytes()) % u64::from(BUCKETS)) as u16
}

/// The one bucket in which a pattern's events are; none if they may be in any.
pub fn bucket_of_pattern(pattern: &Pattern) -> Option<u16> {
    (!pattern.deep).then(|| bucket_of(&pattern.key))
}

/// Whether what other hosts publish is for a subscription to this pattern.
pub fn hears_others(pattern: &Pattern) -> bool {
    !pattern.is_local() || planted(Mutant::IgnoreScope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_ref::EventRef;

    #[test]
    fn buckets_are_the_same_on_all_hosts_and_for_ever() {
        assert_eq!(bucket_of("enp://127.0.0.1/store"), 626);
        assert_eq!(bucket_of("enp://127.0.0.1/store/fred"), 730);
        assert_eq!(bucket_of(""), 194);
    }

    #[test]
    fn an_event_is_where_who_asks_for_its_key_looks() {
        let event = EventRef::parse("enp://h/a%20b?x=1").expect("a reference");
        let exact = Pattern::parse("enp://h/%61%20b?y=2").expect("a pattern");
        assert_eq!(bucket_of_pattern(&exact), Some(bucket_of(&event.key())));
        let deep = Pattern::parse("enp://h/*").expect("a pattern");
        assert_eq!(bucket_of_pattern(&deep), None);
    }
}
