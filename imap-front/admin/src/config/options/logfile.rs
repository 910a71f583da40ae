//! Options `logfile.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static LOGFILE: &[ConfigOption] = &[
    ConfigOption {
        name: "logfile.imap.destination",
        kind: Kind::Word(&["file", "journald"]),
        default: "file",
        refreshable: false,
        help: "where the log goes: file (logfile.imap.file), or journald, with each field of a \
               line as a field of the journal; fail2ban's filter needs the file",
    },
    ConfigOption {
        name: "logfile.imap.file",
        kind: Kind::Path,
        default: "log/imap",
        refreshable: false,
        help: "the server's log file; a relative path lies below the base directory. It is opened \
               again at refresh, so that it can be moved away before",
    },
    ConfigOption {
        name: "logfile.imap.loglevel",
        kind: Kind::Word(&[
            "nolog",
            "critical",
            "error",
            "warning",
            "notice",
            "information",
            "debug",
        ]),
        default: "notice",
        refreshable: true,
        help: "how much is logged: nolog, critical, error, warning (without logins, logouts and \
               deliveries), notice, information or debug",
    },
];
