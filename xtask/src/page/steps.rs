//! The seven steps of "To Configure IMAP IDLE" as the guide prints them, and what may go wrong.

/// Steps 1 to 6, in the C shell; `msg-svr-base` stands for the base directory. Step 7 is to look at
/// the greeting.
pub const PRINTED: [&str; 6] = [
    "setenv ENS_ACCESS '+127.0.0.1|255.255.255.255'",
    r#"cd msg-svr-base
./configutil -o local.store.notifyplugin.enshost -v "127.0.0.1""#,
    r#"./configutil -o local.store.notifyplugin.enseventkey -v "enp://127.0.0.1/store/%M""#,
    r#"./configutil -o local.store.notifyplugin -v "msg-svr-base/lib/libibiff""#,
    "./configutil -o local.store.notifyplugin.noneinbox.enable -v 1",
    "cd msg-svr-base/sbin
./stop-msg
./start-msg",
];

/// The second example of step 1, with its misprint.
pub const ALL_BUT_ONE: &str = concat!(
    "setenv ENS_ACCESS '+192.168.0.1|255.255.255.0;+127.0.0.1|255.255.255.255; \\\n",
    "-192.168.0.17;255.255.255.255'"
);

/// What is to be seen after the steps.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// The greeting has IDLE, and `imapd --check` finds nothing.
    Idle,
    /// The greeting has no IDLE, and `imapd --check` names this.
    NoIdle(&'static str),
    /// Nobody greets, and one of the steps said this.
    Nobody(&'static str),
}

/// The steps with some of them different.
pub struct Case {
    /// What is different.
    pub name: &'static str,
    /// The steps that are, by their number, and what is done instead.
    pub instead: &'static [(usize, &'static str)],
    /// What is seen then.
    pub seen: Seen,
}

const fn case(name: &'static str, instead: &'static [(usize, &'static str)], seen: Seen) -> Case {
    Case {
        name,
        instead,
        seen,
    }
}

/// All of them.
pub const CASES: [Case; 19] = [
    case("as printed", &[], Seen::Idle),
    case(
        "the second example of step 1",
        &[(1, ALL_BUT_ONE)],
        Seen::Idle,
    ),
    case("without step 1", &[(1, "")], Seen::Idle),
    case("without step 2", &[(2, "cd msg-svr-base")], Seen::Idle),
    case(
        "without step 3",
        &[(3, "")],
        Seen::NoIdle("not met: local.store.notifyplugin.enseventkey ends in %M"),
    ),
    case(
        "without step 4",
        &[(4, "")],
        Seen::NoIdle("not met: the notification plug-in is loaded"),
    ),
    case(
        "without step 5",
        &[(5, "")],
        Seen::NoIdle("not met: local.store.notifyplugin.noneinbox.enable is 1"),
    ),
    case(
        "without step 6",
        &[(6, "")],
        Seen::NoIdle("in the running server and"),
    ),
    case(
        "step 1 denies this host",
        &[(1, "setenv ENS_ACCESS '+192.168.0.1|255.255.255.0'")],
        Seen::NoIdle("not met: the event notification broker can be reached"),
    ),
    case(
        "step 1 has a rule that is none",
        &[(
            1,
            "setenv ENS_ACCESS '+127.0.0.1|255.255.255.255;+localhost|255.255.255.255'",
        )],
        Seen::NoIdle("not met: the event notification broker can be reached"),
    ),
    case(
        "step 2 names a host without a broker",
        &[(
            2,
            "cd msg-svr-base\n./configutil -o local.store.notifyplugin.enshost -v /nowhere",
        )],
        Seen::NoIdle("not met: the event notification broker can be reached"),
    ),
    case(
        "step 3 has %M in the middle",
        &[(
            3,
            "./configutil -o local.store.notifyplugin.enseventkey -v enp://127.0.0.1/%M/store",
        )],
        Seen::NoIdle("not met: local.store.notifyplugin.enseventkey ends in %M"),
    ),
    case(
        "step 3 has a key that is none",
        &[(
            3,
            "./configutil -o local.store.notifyplugin.enseventkey -v store/%M",
        )],
        Seen::NoIdle("not met: local.store.notifyplugin.enseventkey ends in %M"),
    ),
    case(
        "step 4 names no library",
        &[(
            4,
            "./configutil -o local.store.notifyplugin -v msg-svr-base/lib/libbiff",
        )],
        Seen::NoIdle("not met: the notification plug-in is loaded"),
    ),
    case(
        "step 4 names a library that is no plug-in",
        &[(
            4,
            "./configutil -o local.store.notifyplugin -v msg-svr-base/lib/enpd",
        )],
        Seen::NoIdle("not met: the notification plug-in is loaded"),
    ),
    case(
        "step 4 with the suffix, and relative",
        &[(
            4,
            "./configutil -o local.store.notifyplugin -v lib/libibiff.so",
        )],
        Seen::Idle,
    ),
    case(
        "step 5 says 0",
        &[(
            5,
            "./configutil -o local.store.notifyplugin.noneinbox.enable -v 0",
        )],
        Seen::NoIdle("not met: local.store.notifyplugin.noneinbox.enable is 1"),
    ),
    case(
        "step 5 says 2",
        &[(
            5,
            "./configutil -o local.store.notifyplugin.noneinbox.enable -v 2",
        )],
        Seen::NoIdle("not met: local.store.notifyplugin.noneinbox.enable is 1"),
    ),
    case(
        "step 6 stops only",
        &[(6, "cd msg-svr-base/sbin\n./stop-msg")],
        Seen::Nobody("Stopping imap server"),
    ),
];
