//! The operator stops the server.

use crate::site::{Site, Talk};

#[test]
fn every_client_hears_bye_and_then_the_end() {
    let site = Site::new("");
    let mut server = site.start();
    let mut fresh = Talk::to(server.imap);
    fresh.line();
    let mut talks = [server.idle("fred"), server.select("fred"), fresh];
    let mut deliverer = Talk::to(server.lmtp);
    deliverer.line();
    server.terminate();
    for talk in &mut talks {
        assert!(talk.line().starts_with("* BYE "));
        assert_eq!(talk.line(), "");
    }
    assert!(deliverer.line().starts_with("421 "));
    assert_eq!(deliverer.line(), "");
    server.ended();
}
