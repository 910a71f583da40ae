//! Options `logfile.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static LOGFILE: &[ConfigOption] = &[
    ConfigOption {
        name: "logfile.imap.file",
        kind: Kind::Path,
        default: "log/imap",
        refreshable: false,
        help: "the server's log file; a relative path lies below the base directory",
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
        help: "how much is logged: nolog, critical, error, warning, notice, information or debug",
    },
];
