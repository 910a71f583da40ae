//! What is left of root's rights once the server has its ports.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use crate::offer::check;
use crate::site::{Server, Site};

/// A user that every host has, and what `/etc/passwd` says of it.
const USER: &str = "nobody";

pub fn ids() -> (String, String) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("nobody:"));
    let words: Vec<&str> = line.unwrap().split(':').collect();
    (words[2].to_owned(), words[3].to_owned())
}

/// A base directory that others can reach, with a server that becomes `USER`. None unless root
/// runs the test: others have nothing to give up.
pub fn site(options: &str) -> Option<Site> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let options = format!("service.user = {USER}\nlogfile.imap.file = log/imap\n{options}");
    Some(Site::within(folder, &options))
}

/// The fields of a status file of /proc.
fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().skip(1).collect()
}

fn threads(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
        .collect()
}

#[test]
fn no_thread_keeps_a_right_of_root() {
    let Some(site) = site("ens.embedded = yes\n") else {
        return;
    };
    // What root has left behind is the server's from now on.
    fs::create_dir_all(site.folder.path().join("data")).unwrap();
    fs::write(site.folder.path().join("log/imap"), "an old line\n").unwrap();
    let server = site.start();
    let (uid, gid) = ids();
    let threads = threads(&server);
    assert!(threads.len() > 5, "{}", threads.len());
    for status in &threads {
        assert_eq!(field(status, "Uid:"), [&uid; 4], "{status}");
        assert_eq!(field(status, "Gid:"), [&gid; 4]);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(
                field(status, set),
                ["0000000000000000"],
                "{set} of {status}"
            );
        }
        assert_eq!(field(status, "NoNewPrivs:"), ["1"]);
        let groups = field(status, "Groups:");
        assert!(groups.iter().all(|group| *group == gid), "{groups:?}");
    }
    assert_eq!(server.deliver(&["fred"], "Subject: 1\r\n\r\n1").len(), 1);
    let there = server.select("fred").ask("s STATUS INBOX (MESSAGES)");
    assert!(there[0].contains("MESSAGES 1"), "{there:?}");
}

fn owner(path: &Path) -> (String, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid().to_string(), metadata.mode() & 0o777)
}

#[test]
fn the_configuration_stays_roots_and_the_rest_is_the_users() {
    let Some(site) = site("") else {
        return;
    };
    let mut server = site.start();
    let (uid, _) = ids();
    let base = admin::Base::new(site.folder.path());
    for folder in [base.data(), base.log(), base.run(), base.log().join("imap")] {
        assert_eq!(owner(&folder).0, uid, "{}", folder.display());
    }
    for (file, mode) in [(base.msg_conf(), 0o640), (base.users(), 0o640)] {
        assert_eq!(owner(&file), ("0".to_owned(), mode), "{}", file.display());
    }
    // A key that root copies there is for the server too, as of the next refresh.
    let key = base.msg_conf().with_file_name("a.key");
    fs::write(&key, "").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let config = admin::Config::load(&base).unwrap();
    let user = admin::service_user::ServiceUser::of(&config).unwrap();
    user.unwrap().let_read_config(&base).unwrap();
    let group = fs::metadata(&key).unwrap().gid().to_string();
    assert_eq!((owner(&key), group), (("0".to_owned(), 0o640), ids().1));
    server.terminate();
    server.ended();
    // A second start finds all as it is.
    let server = site.start();
    assert_eq!(server.deliver(&["fred"], "Subject: 1\r\n\r\n1").len(), 1);
}

/// `start-msg` writes down which process it is, and the file stays root's.
#[test]
fn whether_it_serves_the_check_is_told_by_the_running_server() {
    let Some(site) = site("ens.embedded = yes\n") else {
        return;
    };
    let lib = site.folder.path().join("lib");
    fs::create_dir(&lib).unwrap();
    let program = lib.join("imapd");
    fs::copy(env!("CARGO_BIN_EXE_imapd"), &program).unwrap();
    let server = site.start_under(&format!("exec {} \"$@\"", program.display()));
    let base = admin::Base::new(site.folder.path());
    let pid_file = base.run().join("imapd.pid");
    fs::write(&pid_file, format!("{}\n", server.pid())).unwrap();
    fs::set_permissions(&pid_file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = fs::read_to_string(base.msg_conf()).unwrap();
    let changed = config + "service.imap.maxsessions = 7\n";
    fs::write(base.msg_conf(), changed).unwrap();
    let said = check(&site).text;
    assert!(said.contains("The running server:\n"), "{said}");
    let differs = "service.imap.maxsessions is 100000 in the running server and 7 in the files";
    assert!(said.contains(differs), "{said}");
}

#[test]
fn a_user_that_does_not_exist_is_named() {
    let Some(site) = site("service.user = no-such-user\n") else {
        return;
    };
    let said = site.try_start(":").err().unwrap();
    assert!(said.contains("no user no-such-user"), "{said}");
    assert!(said.contains("useradd --system"), "{said}");
}

/// Runs a program as a tool of the base directory.
fn tool(site: &Site, program: &str, words: &[&str]) -> Output {
    let sbin = site.folder.path().join("sbin");
    fs::create_dir_all(&sbin).unwrap();
    let tool = sbin.join(Path::new(program).file_name().unwrap());
    fs::copy(program, &tool).unwrap();
    Command::new(&tool).args(words).output().unwrap()
}

#[test]
fn without_a_server_tools_read_what_is_roots_and_the_store_is_the_users() {
    let Some(site) = site("") else {
        return;
    };
    let mut server = site.start();
    assert_eq!(server.deliver(&["fred"], "Subject: 1\r\n\r\n1").len(), 1);
    server.terminate();
    server.ended();
    // Nobody but root gets in there.
    let private = tempfile::tempdir_in("/tmp").unwrap();
    let maildir = private.path().join("Maildir");
    for folder in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(folder)).unwrap();
    }
    fs::write(maildir.join("new/1.M1P1.a"), "Subject: 2\n\n2\n").unwrap();
    let (backup, maildir) = (private.path().join("backup"), maildir.to_str().unwrap());
    let words = [backup.to_str().unwrap()];
    let made = tool(&site, env!("CARGO_BIN_EXE_imsbackup"), &words);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(owner(&backup), ("0".to_owned(), 0o600));
    let data = admin::Base::new(site.folder.path()).data();
    fs::remove_dir_all(&data).unwrap();
    let words = ["--after-loss", words[0]];
    let restored = tool(&site, env!("CARGO_BIN_EXE_imsrestore"), &words);
    assert!(restored.status.success(), "{restored:?}");
    let words = ["maildir", "-u", "fred", maildir];
    let imported = tool(&site, env!("CARGO_BIN_EXE_imsimport"), &words);
    assert!(imported.status.success(), "{imported:?}");
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(owner(&path).0, ids().0, "{}", path.display());
    }
    let server = site.start();
    let there = server.select("fred").ask("s STATUS INBOX (MESSAGES)");
    assert!(there[0].contains("MESSAGES 2"), "{there:?}");
}

#[test]
fn without_a_server_a_tool_says_why_the_store_can_not_be_opened() {
    let Some(site) = site("") else {
        return;
    };
    site.configure();
    fs::write(site.folder.path().join("data/db"), "no folder").unwrap();
    let made = tool(&site, env!("CARGO_BIN_EXE_imsbackup"), &["/tmp/not-made"]);
    let said = String::from_utf8(made.stderr).unwrap();
    assert_eq!(made.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("imsbackup: "), "{said}");
}
