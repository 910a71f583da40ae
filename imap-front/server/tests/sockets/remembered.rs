//! What another process that takes over knows of those who come back.

use std::net::TcpListener;
use std::process::Command;

use crate::site::{Server, Site, Talk};

fn computed(server: &Server, site: &Site) -> u64 {
    server.statistics(site)["PasswordsComputed"]
}

fn log_in(server: &Server, password: &str) -> String {
    let mut talk = Talk::to(server.imap);
    talk.line();
    talk.say(&format!("l LOGIN ann {password}\r\n"));
    let answers = talk.until_any("l");
    answers.last().unwrap().clone()
}

#[test]
fn passwords_that_were_right_and_tickets_pass_to_another_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = format!("service.imap.scram = no\nservice.imap.sslport = {port}\n");
    let site = Site::bare(&options).with_costly_passwords(&["ann"]);
    site.show_certificate("localhost");
    let session = site.folder.path().join("session");
    let reconnect = |option: &str| {
        let command = format!(
            "(sleep 0.5; echo x LOGOUT; sleep 0.5) | timeout 30 openssl s_client -connect \
             127.0.0.1:{port} {option} {} 2>&1",
            session.display()
        );
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut server = site.start();
    assert!(log_in(&server, "ann").starts_with("l OK"));
    assert!(log_in(&server, "ann").starts_with("l OK"));
    assert_eq!(computed(&server, &site), 1);
    assert!(reconnect("-sess_out").contains("New, TLS"));
    for _ in 0..2 {
        site.upgrade(&mut server);
        assert!(log_in(&server, "ann").starts_with("l OK"));
        assert_eq!(computed(&server, &site), 0, "it is known");
        assert!(reconnect("-sess_in").contains("Reused, TLS"));
    }
    assert!(log_in(&server, "Ann").starts_with("l NO"));
    assert_eq!(computed(&server, &site), 1);
    // Of another password nothing is known.
    let users = admin::Base::new(site.folder.path()).users();
    admin::users::set_password(&users, "ann", b"other").unwrap();
    site.upgrade(&mut server);
    assert!(log_in(&server, "ann").starts_with("l NO"));
    assert!(log_in(&server, "other").starts_with("l OK"));
    assert_eq!(computed(&server, &site), 2);
    // After a stop nothing is left: it was in memory only.
    server.terminate();
    server.ended();
    let server = site.start();
    assert!(log_in(&server, "other").starts_with("l OK"));
    assert_eq!(computed(&server, &site), 1);
    assert!(reconnect("-sess_in").contains("New, TLS"));
}
