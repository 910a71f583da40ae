//! Messages that are old go, as if a client had removed them.

use std::fs;

use admin::Base;
use clap::Parser;
use server::arguments::imexpire::Arguments;
use server::tools::expire;

use crate::site::Site;

#[test]
fn what_is_old_goes_and_sessions_are_told() {
    let site = Site::new("");
    let server = site.start();
    let mut fred = server.select("fred");
    fred.ask("a CREATE Trash");
    for (number, flags) in ["", r"\Flagged", r"\Seen"].into_iter().enumerate() {
        for mailbox in ["Trash", "INBOX"] {
            let text = format!("Subject: {number}\r\n\r\nx\r\n");
            let length = text.len();
            fred.say(&format!(
                "b APPEND {mailbox} ({flags}) \"01-Jan-2020 00:00:00 +0000\" {{{length}}}\r\n"
            ));
            fred.line();
            fred.say(&format!("{text}\r\n"));
            fred.until("b");
        }
    }
    fred.ask("c SELECT Trash");
    let base = Base::new(site.folder.path());
    let run = |words: &[&str]| {
        let words = ["imexpire", "--json"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = vec![];
        let code = expire::run(&base, &arguments, &mut out).map_err(|error| error.to_string())?;
        let last = String::from_utf8(out)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned();
        let last: serde_json::Value = serde_json::from_str(&last).unwrap();
        Ok::<_, String>((code, last["messages"].as_u64().unwrap()))
    };
    assert!(
        run(&[]).unwrap_err().contains("config/expire"),
        "there are no rules"
    );
    let rules = base.users().with_file_name("expire");
    fs::write(&rules, "# old\nTrash older=30\n").unwrap();
    assert_eq!(run(&["-u", "mary"]), Ok((0, 0)));
    // Where it is known that they have just come they are not old.
    let known = server.greeting().contains("SAVEDATE")
        || fred.ask("d CAPABILITY").concat().contains("SAVEDATE");
    let expected = if known { 0 } else { 2 };
    assert_eq!(run(&["-n"]), Ok((0, expected)));
    fs::write(
        &rules,
        "Trash larger=1 flag=\\Seen\nTrash larger=1 flag=\\Flagged\n",
    )
    .unwrap();
    assert_eq!(run(&[]), Ok((0, 1)), "what is flagged stays");
    let told = fred.ask("e NOOP").concat();
    assert!(told.contains("* 3 EXPUNGE"), "{told}");
    fs::write(&rules, "Trash larger=1 flagged-too\n").unwrap();
    assert_eq!(run(&[]), Ok((0, 2)));
    let figures = fred.ask("f STATUS INBOX (MESSAGES)").concat();
    assert!(figures.contains("MESSAGES 3"), "{figures}");
    assert!(
        site.log()
            .contains("event=admin result=expire user=\"fred\""),
        "{}",
        site.log()
    );
}
