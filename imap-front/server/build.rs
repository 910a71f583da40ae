//! The time of the build, for the banner: `SOURCE_DATE_EPOCH` if that is set, or now.
#![allow(clippy::disallowed_methods, reason = "it asks what time it is")]

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=Cargo.toml");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(String::new(), |it| it.as_secs().to_string())
    };
    println!(
        "cargo:rustc-env=ENSIGN_BUILT_S={}",
        given.unwrap_or_else(now)
    );
}
