//! Searches that are followed (RFC 5267): their client hears of each change while it idles.

use std::time::Duration;

use crate::site::{Site, Talk};

#[test]
fn a_followed_search_is_told_within_idle_after_a_rest_too() {
    let site = Site::new("service.imap.shards = 2\n");
    let server = site.start();
    let login = || {
        let mut talk = Talk::to(server.imap);
        talk.line();
        talk.ask("l LOGIN fred fred");
        talk.ask("s SELECT INBOX");
        talk
    };
    let (mut phone, mut fred) = (login(), login());
    let listed = phone.ask("c CAPABILITY");
    assert!(
        listed[0].contains(" CONTEXT=SEARCH CONTEXT=SORT "),
        "{listed:?}"
    );
    let found = phone.ask("A UID SEARCH RETURN (UPDATE COUNT) UNSEEN");
    assert_eq!(found[0], "* ESEARCH (TAG \"A\") UID COUNT 0");
    let sorted = phone.ask("B UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL");
    assert_eq!(sorted[0], "* ESEARCH (TAG \"B\") UID COUNT 0");
    phone.say("i IDLE\r\n");
    assert_eq!(phone.line(), "+ idling");
    for (uid, subject) in [(1, "bravo"), (2, "alpha")] {
        server.deliver(&["fred"], &format!("Subject: {subject}\r\n\r\nHello"));
        assert_eq!(phone.line(), format!("* {uid} EXISTS"));
        assert!(phone.line().ends_with(" RECENT"));
        assert_eq!(
            phone.line(),
            format!("* ESEARCH (TAG \"A\") UID ADDTO (0 {uid})")
        );
        assert_eq!(
            phone.line(),
            format!("* ESEARCH (TAG \"B\") UID ADDTO (1 {uid})")
        );
        // Longer than an idler stays unpacked.
        assert!(!phone.has_bytes_within(Duration::from_millis(1500)));
    }
    fred.ask("a STORE 2 +FLAGS (\\Seen \\Deleted)");
    let flags = phone.line();
    assert!(
        flags.starts_with("* 2 FETCH (FLAGS (\\Deleted \\Seen"),
        "{flags}"
    );
    assert_eq!(phone.line(), "* ESEARCH (TAG \"A\") UID REMOVEFROM (0 2)");
    fred.ask("b EXPUNGE");
    assert_eq!(phone.line(), "* ESEARCH (TAG \"B\") UID REMOVEFROM (1 2)");
    assert_eq!(phone.line(), "* 2 EXPUNGE");
    phone.say("DONE\r\n");
    phone.until("i");
    let cancelled = phone.ask("d CANCELUPDATE \"A\" \"B\"");
    assert_eq!(cancelled, ["d OK CANCELUPDATE completed"]);
}
