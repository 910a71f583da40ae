//! A cache with a bound in bytes, which several hold.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// What several hold.
pub(crate) type BoundedCache<K, V, W> = Arc<Cache<K, V, W>>;

/// A cache of `bytes` as `weighter` counts them; `entries` is a guess, for the size of tables. It
/// is undivided, so that one large entry has room too.
pub(crate) fn bounded_cache<K, V, W>(
    entries: usize,
    bytes: u64,
    weighter: W,
) -> BoundedCache<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(entries)
        .weight_capacity(bytes)
        .shards(1)
        .build()
        .expect("all that is needed is given");
    let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
    Arc::new(Cache::with_options(options, weighter, hasher, lifecycle))
}
