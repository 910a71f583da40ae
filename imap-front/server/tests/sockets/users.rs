//! Faults of the user directory while the server runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::site::Site;

/// No fault of the file turns mail away for good.
#[test]
fn mail_is_delivered_whatever_becomes_of_the_user_directory() {
    let spoil: [fn(&Path); 3] = [
        |path| fs::write(path, "broken\n").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for spoil in spoil {
        let site = Site::bare("");
        let server = site.start();
        spoil(&site.folder.path().join("config/users"));
        let patience = Instant::now() + Duration::from_secs(20);
        while !site.log().contains("the users known before are kept") {
            assert!(Instant::now() < patience, "{}", site.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        for user in ["fred", "mary"] {
            let answer = &server.deliver(&[user], "x")[0];
            assert!(answer.starts_with("250"), "{answer}");
        }
        assert!(server.deliver(&["nobody"], "x")[0].starts_with("550 5.1.1"));
        let mut talk = server.select("fred");
        talk.ask("n NOOP");
    }
}
