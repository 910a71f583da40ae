//! Panics that tests plant into a server at work, to see what becomes of it. Not in release builds.

/// Panics if `ENSIGN_PLANTED_PANIC` is `place:path`, and there is something at that path now.
#[cfg(debug_assertions)]
pub fn here(place: &str) {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<(String, PathBuf)>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        let text = std::env::var("ENSIGN_PLANTED_PANIC").ok()?;
        let (place, path) = text.split_once(':')?;
        Some((place.to_owned(), PathBuf::from(path)))
    });
    if let Some((planted, path)) = planted
        && planted == place
        && path.exists()
    {
        panic!("planted in {place}");
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn here(_: &str) {}
