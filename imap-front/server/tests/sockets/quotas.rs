//! What users have used of their quotas, and who is warned.

use std::fs;

use admin::Base;
use clap::Parser;
use serde_json::Value;
use server::arguments::imquotacheck::Arguments;
use server::tools::quotacheck;

use crate::site::Site;

#[test]
fn who_has_used_much_is_told_and_warned() {
    let site = Site::new("store.defaultmailboxquota = 2000\n");
    let server = site.start();
    server.deliver(&["fred"], &"x".repeat(1500));
    server.deliver(&["mary"], "y");
    let base = Base::new(site.folder.path());
    let run = |words: &[&str]| -> Vec<Value> {
        let words = ["imquotacheck", "--json"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = vec![];
        assert_eq!(quotacheck::run(&base, &arguments, &mut out).unwrap(), 0);
        let text = String::from_utf8(out).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = run(&[]);
    assert_eq!(all.len(), 2, "{all:?}");
    let fred = all.iter().find(|it| it["user"] == "fred").unwrap();
    assert_eq!(
        (&fred["quotabytes"], &fred["usedmessages"]),
        (&2000.into(), &1.into())
    );
    assert!(fred["percent"].as_u64().unwrap() > 70, "{fred}");
    let warning = site.folder.path().join("warning");
    fs::write(
        &warning,
        "Subject: %PERCENT%\n\n%USER% has %USED% of %QUOTA%\n",
    )
    .unwrap();
    let warned = run(&["--over", "70", "--warn", warning.to_str().unwrap()]);
    assert_eq!(warned.len(), 1, "{warned:?}");
    let mut talk = server.select("fred");
    let found = talk.ask("a UID FETCH 2 (BODY[TEXT])").concat();
    assert!(
        found.contains("fred has 1.") && found.contains("of 2.0 KiB"),
        "{found}"
    );
    assert_eq!(run(&["-u", "mary"]).len(), 1);
}
