//! What a running server answers to `refresh`.

use std::fs;
use std::time::{Duration, Instant};

use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(20);

/// The server looks at the file many times a second and refuses it once: whoever asks later is told
/// as well.
#[test]
fn a_user_directory_that_is_refused_is_told_at_each_refresh() {
    let site = Site::bare("");
    let server = site.start();
    let users = admin::Base::new(site.folder.path()).users();
    let good = fs::read_to_string(&users).unwrap();
    let spoilt = format!("{good}ann:nothing\n");
    let new = users.with_extension("new");
    fs::write(&new, spoilt).unwrap();
    fs::rename(&new, &users).unwrap();
    let until = Instant::now() + PATIENCE;
    while !site.log().contains("the users known before are kept") {
        assert!(Instant::now() < until, "{}", site.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..2 {
        let answer = site.refreshed(&server);
        let place = format!("{}, line 3: ", users.display());
        assert!(answer.starts_with(&place), "{answer}");
        assert!(
            answer.ends_with("; the users known before are kept\n"),
            "{answer}"
        );
    }
    fs::write(&new, good).unwrap();
    fs::rename(&new, &users).unwrap();
    assert_eq!(site.refreshed(&server), "");
}
