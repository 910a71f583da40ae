//! Faults that tests plant into a program at work, to see what becomes of it. Not in release
//! builds.

/// Panics if `ENSIGN_PLANTED_PANIC` is `place:path`, and there is something at that path now; if
/// that is a file which says `hang`, it hangs instead, as long as it says so.
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
        let mut hangs = false;
        while std::fs::read(path).is_ok_and(|text| text == b"hang") {
            hangs = true;
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        if hangs {
            return;
        }
        panic!("planted in {place}");
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn here(_: &str) {}

/// How long a handover's steps may take, in milliseconds, if `ENSIGN_PLANTED_PATIENCE` says so.
#[cfg(debug_assertions)]
pub fn patience_ms() -> Option<u64> {
    std::env::var("ENSIGN_PLANTED_PATIENCE").ok()?.parse().ok()
}

/// As long as usual.
#[cfg(not(debug_assertions))]
pub fn patience_ms() -> Option<u64> {
    None
}
