//! The table of options.

use super::setting::{Kind, Setting};

const PORT: Kind = Kind::Number { min: 0, max: 65535 };
/// The service is not in this release, so its port can only be off.
const PORT_OFF: Kind = Kind::Number { min: 0, max: 0 };

/// All options, sorted by name.
pub static OPTIONS: &[Setting] = &[
    Setting {
        name: "ens.embedded",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "imapd is the event notification broker itself, on ens.port; no enpd is started",
    },
    Setting {
        name: "ens.keepalive",
        kind: Kind::Number { min: 0, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds of silence after which an ENS client is sent a PING; 0 is never",
    },
    Setting {
        name: "ens.maxconnections",
        kind: Kind::Number {
            min: 1,
            max: 10_000_000,
        },
        default: "100000",
        refreshable: false,
        help: "connections the broker holds at a time; more are told to come back later",
    },
    Setting {
        name: "ens.maxpending",
        kind: Kind::Bytes {
            unlimited: false,
            min: 4096,
        },
        default: "1M",
        refreshable: false,
        help: "bytes that may wait for a subscriber; with more it is told what it missed",
    },
    Setting {
        name: "ens.port",
        kind: PORT,
        default: "7997",
        refreshable: false,
        help: "TCP port of the event notification broker; 0 turns the listener off",
    },
    Setting {
        name: "ens.shards",
        kind: Kind::Number { min: 0, max: 64 },
        default: "0",
        refreshable: false,
        help: "threads of the broker; 0 is as many as cores",
    },
    Setting {
        name: "ens.socket",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "Unix socket on which the broker listens as well; none by default",
    },
    Setting {
        name: "ens.spin",
        kind: Kind::Number { min: 0, max: 1000 },
        default: "0",
        refreshable: false,
        help: "microseconds for which the broker looks for work before it sleeps; costs cores",
    },
    Setting {
        name: "ens.writetimeout",
        kind: Kind::Number { min: 5, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds after which a subscriber that takes nothing is disconnected",
    },
    Setting {
        name: "local.domains",
        kind: Kind::Names,
        default: "",
        refreshable: true,
        help: "domains whose addresses (user@domain) are delivered here; none means any domain",
    },
    Setting {
        name: "local.ens.enable",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether start-msg starts the event notification broker, enpd",
    },
    Setting {
        name: "local.hostname",
        kind: Kind::Names,
        default: "",
        refreshable: false,
        help: "the name by which this host calls itself; none means the system's host name",
    },
    Setting {
        name: "local.store.notifyplugin",
        kind: Kind::PlugIns,
        default: "",
        refreshable: false,
        help: "notification plug-ins, one to five: lib$instance$$lib$instance",
    },
    Setting {
        name: "local.store.notifyplugin.changeflag.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "ChangeFlag events: which flags were added (1), removed (2) or replaced (3)",
    },
    Setting {
        name: "local.store.notifyplugin.copymsg.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "Copy events in the place of UpdateMsg when messages are copied or moved",
    },
    Setting {
        name: "local.store.notifyplugin.createmailbox.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "CreateMailbox events",
    },
    Setting {
        name: "local.store.notifyplugin.deletemailbox.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "DeleteMailbox events",
    },
    Setting {
        name: "local.store.notifyplugin.deletemsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "DeleteMsg events: a client expunged messages",
    },
    Setting {
        name: "local.store.notifyplugin.enseventkey",
        kind: Kind::EventKey,
        default: "enp://127.0.0.1/store",
        refreshable: false,
        help: "event key; %M is the mailbox, and IDLE needs it at the end",
    },
    Setting {
        name: "local.store.notifyplugin.enshost",
        kind: Kind::Host,
        default: "127.0.0.1",
        refreshable: false,
        help: "host of the event notification broker, or the path of its Unix socket",
    },
    Setting {
        name: "local.store.notifyplugin.ensport",
        kind: Kind::Number { min: 1, max: 65535 },
        default: "7997",
        refreshable: false,
        help: "TCP port of the event notification broker",
    },
    Setting {
        name: "local.store.notifyplugin.expungemsg.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "ExpungeMsg events in the place of DeleteMsg, which then means flagged \\Deleted",
    },
    Setting {
        name: "local.store.notifyplugin.loguser.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "Login and Logout events",
    },
    Setting {
        name: "local.store.notifyplugin.maxbodysize",
        kind: Kind::Number {
            min: 0,
            max: 1048576,
        },
        default: "0",
        refreshable: false,
        help: "bytes of a new message's body in the payload",
    },
    Setting {
        name: "local.store.notifyplugin.maxheadersize",
        kind: Kind::Number {
            min: 0,
            max: 1048576,
        },
        default: "0",
        refreshable: false,
        help: "bytes of a new message's header in the payload",
    },
    Setting {
        name: "local.store.notifyplugin.msgflags",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "track changes of flags, for msgflags.enable of any plug-in",
    },
    Setting {
        name: "local.store.notifyplugin.msgflags.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "MsgFlags events: old and new flags; needs msgflags too",
    },
    Setting {
        name: "local.store.notifyplugin.newmsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "NewMsg events: mail was delivered",
    },
    Setting {
        name: "local.store.notifyplugin.noneinbox.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "events of all mailboxes, not of INBOX only; IDLE needs it",
    },
    Setting {
        name: "local.store.notifyplugin.overquota.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "OverQuota events: mail was refused",
    },
    Setting {
        name: "local.store.notifyplugin.purgemsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "PurgeMsg events: messages expired (nothing expires in this release)",
    },
    Setting {
        name: "local.store.notifyplugin.readmsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "ReadMsg events: messages were marked \\Seen",
    },
    Setting {
        name: "local.store.notifyplugin.renamemailbox.enable",
        kind: Kind::Switch,
        default: "0",
        refreshable: false,
        help: "RenameMailbox events",
    },
    Setting {
        name: "local.store.notifyplugin.trashmsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "TrashMsg events: messages were marked \\Deleted",
    },
    Setting {
        name: "local.store.notifyplugin.underquota.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "UnderQuota events: mail is taken again",
    },
    Setting {
        name: "local.store.notifyplugin.updatemsg.enable",
        kind: Kind::Switch,
        default: "1",
        refreshable: false,
        help: "UpdateMsg events: a client appended or copied messages",
    },
    Setting {
        name: "local.store.notifyplugin.vocabulary",
        kind: Kind::Word(&["ibiff", "rfc5423"]),
        default: "ibiff",
        refreshable: false,
        help: "names of events: ibiff (NewMsg …) or rfc5423 (MessageNew …)",
    },
    Setting {
        name: "local.watcher.enable",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether start-msg starts the watcher, which starts dead services again",
    },
    Setting {
        name: "logfile.imap.file",
        kind: Kind::Path,
        default: "log/imap",
        refreshable: false,
        help: "the server's log file; a relative path lies below the base directory",
    },
    Setting {
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
    Setting {
        name: "service.http.port",
        kind: PORT_OFF,
        default: "0",
        refreshable: false,
        help: "TCP port of the status page; this release has none, so 0",
    },
    Setting {
        name: "service.imap.banner",
        kind: Kind::Text,
        default: "%h %p service (%P %V)",
        refreshable: false,
        help: "text of the greeting: %h host, %p protocol, %P product, %v version, \
               %V version and build, %d date, %% a percent sign",
    },
    Setting {
        name: "service.imap.enable",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether start-msg without arguments starts the IMAP server",
    },
    Setting {
        name: "service.imap.idletimeout",
        kind: Kind::Number {
            min: 30,
            max: 10_080,
        },
        default: "30",
        refreshable: false,
        help: "minutes without a word from the client after which it is logged out; \
               at least 30 (RFC 3501 section 5.4)",
    },
    Setting {
        name: "service.imap.maxoutput",
        kind: Kind::Bytes {
            unlimited: false,
            min: 1 << 20,
        },
        default: "256M",
        refreshable: false,
        help: "bytes of memory for what clients are sent and don't take; with more, those that \
               take nothing are disconnected",
    },
    Setting {
        name: "service.imap.maxsessions",
        kind: Kind::Number {
            min: 1,
            max: 10_000_000,
        },
        default: "100000",
        refreshable: false,
        help: "sessions the server holds at a time; more are told to come back later",
    },
    Setting {
        name: "service.imap.parkrings",
        kind: Kind::Number { min: 0, max: 64 },
        default: "0",
        refreshable: false,
        help: "io_uring instances a shard keeps idle connections in; 0 means as many as needed",
    },
    Setting {
        name: "service.imap.port",
        kind: PORT,
        default: "143",
        refreshable: false,
        help: "TCP port of IMAP; 0 turns the listener off",
    },
    Setting {
        name: "service.imap.shards",
        kind: Kind::Number { min: 0, max: 256 },
        default: "0",
        refreshable: false,
        help: "shards, a core each; 0 means as many as the host has cores",
    },
    Setting {
        name: "service.imap.spin",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        default: "0",
        refreshable: false,
        help: "microseconds a shard looks for work before it sleeps; costs CPU time, saves latency",
    },
    Setting {
        name: "service.imap.sslport",
        kind: PORT_OFF,
        default: "0",
        refreshable: false,
        help: "TCP port of IMAP over TLS; this release has no TLS, so 0",
    },
    Setting {
        name: "service.imap.stillhere",
        kind: Kind::Number { min: 0, max: 1740 },
        default: "0",
        refreshable: false,
        help: "seconds between two words to an idling client that the server is still here; \
               0 means never: TCP's own probes keep connections open and find dead ones",
    },
    Setting {
        name: "service.imap.writetimeout",
        kind: Kind::Number { min: 5, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds after which a client that does not read what it is sent is disconnected",
    },
    Setting {
        name: "service.listenaddr",
        kind: Kind::Address,
        default: "0.0.0.0",
        refreshable: false,
        help: "address on which IMAP listens; 0.0.0.0 means all IPv4 addresses, :: all addresses",
    },
    Setting {
        name: "service.lmtp.listenaddr",
        kind: Kind::Address,
        default: "127.0.0.1",
        refreshable: false,
        help: "address on which LMTP listens; whoever can connect can deliver",
    },
    Setting {
        name: "service.lmtp.maxconnections",
        kind: Kind::Number {
            min: 1,
            max: 100_000,
        },
        default: "1000",
        refreshable: false,
        help: "LMTP connections at a time; more are told to come back later",
    },
    Setting {
        name: "service.lmtp.overquota",
        kind: Kind::Word(&["permanent", "temporary"]),
        default: "permanent",
        refreshable: true,
        help: "how mail for a user over quota is refused: permanent (552) or temporary (452)",
    },
    Setting {
        name: "service.lmtp.port",
        kind: PORT,
        default: "24",
        refreshable: false,
        help: "TCP port of LMTP; 0 turns the listener off",
    },
    Setting {
        name: "service.lmtp.socket",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "Unix socket of LMTP; none means no such listener",
    },
    Setting {
        name: "store.cachesize",
        kind: Kind::Bytes {
            unlimited: false,
            min: 1 << 20,
        },
        default: "32M",
        refreshable: false,
        help: "bytes of memory the store uses to cache what it read",
    },
    Setting {
        name: "store.defaultmailboxquota",
        kind: Kind::Bytes {
            unlimited: true,
            min: 1,
        },
        default: "-1",
        refreshable: false,
        help: "bytes of mail a user may have whose entry gives no other number; -1 means no limit",
    },
    Setting {
        name: "store.defaultmessagequota",
        kind: Kind::Limit,
        default: "-1",
        refreshable: false,
        help: "messages a user may have whose entry gives no other number; -1 means no limit",
    },
    Setting {
        name: "store.maxkeywords",
        kind: Kind::Number {
            min: 1,
            max: 10_000,
        },
        default: "128",
        refreshable: false,
        help: "different keywords a mailbox may have",
    },
    Setting {
        name: "store.maxmessagesize",
        kind: Kind::Bytes {
            unlimited: false,
            min: 64 * 1024,
        },
        default: "50M",
        refreshable: false,
        help: "bytes of the largest message that is taken, over LMTP and IMAP",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_its_defaults_are_valid() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for option in OPTIONS {
            assert_eq!(option.kind.check(option.default), Ok(()), "{}", option.name);
            assert!(!option.help.is_empty());
        }
    }
}
