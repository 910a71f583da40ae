//! Options `service.*`.

use super::super::kind::{ConfigOption, Kind};
use super::PORT;

/// Sorted by name.
pub(super) static SERVICE: &[ConfigOption] = &[
    ConfigOption {
        name: "service.http.listenaddr",
        kind: Kind::Address,
        default: "127.0.0.1",
        refreshable: false,
        help: "address on which the door of status page and metrics (service.http.port) listens. \
               On 127.0.0.1 or ::1 whoever is on this host may look. On any other it speaks TLS \
               with the certificates of config/tls/ and asks for the token in data/http.token, \
               which the server makes",
    },
    ConfigOption {
        name: "service.http.port",
        kind: PORT,
        default: "0",
        refreshable: false,
        help: "TCP port of HTTP for the status page, /metrics (OpenMetrics, as Prometheus reads \
               it), /healthz and /readyz; 0 turns it off",
    },
    ConfigOption {
        name: "service.imap.accounturl",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "URL of the page where users manage their accounts, as old clients of Netscape's and \
               Mozilla's ask for it (XSERVERINFO, NETSCAPE)",
    },
    ConfigOption {
        name: "service.imap.admincontact",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "URI by which users reach the administrator, such as mailto:postmaster@example.org; \
               clients read it as the server's metadata /shared/admin",
    },
    ConfigOption {
        name: "service.imap.banner",
        kind: Kind::Text,
        default: "%h %p service (%P %V)",
        refreshable: false,
        help: "text of the greeting: %h host, %p protocol, %P product, %v version, \
               %V version and build, %d date, %% a percent sign",
    },
    ConfigOption {
        name: "service.imap.enable",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether start-msg without arguments starts the IMAP server",
    },
    ConfigOption {
        name: "service.imap.filtersurl",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "URL of the page where users manage their filters (XSERVERINFO)",
    },
    ConfigOption {
        name: "service.imap.guidegreeting",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "whether the greeting lists the capabilities of the Sun guide's, in its order, and \
               no others, and X-SUN-SORT and X-SUN-IMAP are announced: they mean nothing, and no \
               client is known to need them",
    },
    ConfigOption {
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
    ConfigOption {
        name: "service.imap.listsurl",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "URL of the page where users manage their mailing lists (XSERVERINFO)",
    },
    ConfigOption {
        name: "service.imap.literalminus",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "whether LITERAL- is announced in the place of LITERAL+ (RFC 7888 allows one of \
               them): a literal of more than 4096 bytes that does not wait for its continuation \
               request is refused. The guide's greeting has LITERAL+",
    },
    ConfigOption {
        name: "service.imap.loginsperminute",
        kind: Kind::Number {
            min: 0,
            max: 10_000_000,
        },
        default: "1200",
        refreshable: false,
        help: "logins, right or wrong, that one address (IPv6: one /64) may try within a minute, \
               this host's own but for; 0 is no limit. Raise it for a proxy or webmail on another \
               host",
    },
    ConfigOption {
        name: "service.imap.logintimeout",
        kind: Kind::Number { min: 5, max: 3600 },
        default: "180",
        refreshable: false,
        help: "seconds from one command to the end of the next that a client may take before it \
               has logged in; then it is disconnected, whatever it sends meanwhile",
    },
    ConfigOption {
        name: "service.imap.maxcompressed",
        kind: Kind::Bytes {
            unlimited: false,
            min: 0,
        },
        default: "256M",
        refreshable: false,
        help: "bytes of memory for what clients of compressed connections may still refer to, at \
               most 45 KB each and mostly far less. With three quarters of it COMPRESS is refused, \
               with all of it whoever needs more is disconnected. With 0 it is not offered",
    },
    ConfigOption {
        name: "service.imap.maxnotify",
        kind: Kind::Number {
            min: 0,
            max: 10_000,
        },
        default: "1000",
        refreshable: false,
        help: "mailboxes a session may watch by NOTIFY beside the selected one; who asks for more \
               is answered NOTIFICATIONOVERFLOW. Each takes some 30 bytes of memory. With 0 NOTIFY \
               is refused and not announced",
    },
    ConfigOption {
        name: "service.imap.maxoutput",
        kind: Kind::Bytes {
            unlimited: false,
            min: 1 << 20,
        },
        default: "256M",
        refreshable: false,
        help: "bytes of memory for all that waits: what clients are sent and don't take, what they \
               sent and was not worked on, requests. With more, those that take nothing or send \
               more are disconnected",
    },
    ConfigOption {
        name: "service.imap.maxperaddress",
        kind: Kind::Number {
            min: 0,
            max: 10_000_000,
        },
        default: "2000",
        refreshable: false,
        help: "connections one address (IPv6: one /64) may have at a time, this host's own but \
               for; 0 is no limit. Raise it for a proxy or webmail on another host",
    },
    ConfigOption {
        name: "service.imap.maxperuser",
        kind: Kind::Number {
            min: 0,
            max: 10_000_000,
        },
        default: "100",
        refreshable: false,
        help: "connections one user may have at a time, this host's own but for; 0 is no limit. \
               Mail programs keep several each, a watched mailbox one",
    },
    ConfigOption {
        name: "service.imap.maxprelogin",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        default: "100",
        refreshable: false,
        help: "commands a client may give before it has logged in; with more it is disconnected. \
               0 is no limit",
    },
    ConfigOption {
        name: "service.imap.maxsessions",
        kind: Kind::Number {
            min: 1,
            max: 10_000_000,
        },
        default: "100000",
        refreshable: false,
        help: "sessions the server holds at a time; more are told to come back later",
    },
    ConfigOption {
        name: "service.imap.messagelimit",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000_000,
        },
        default: "0",
        refreshable: false,
        help: "messages that one command may work on (MESSAGELIMIT, RFC 9738): one that is for \
               more works on those with the highest UIDs and says where it has ended; COPY, SORT, \
               THREAD and an APPEND of more are refused. With 0 there is no limit, as none is \
               needed: answers are made as clients take them, and changes piece by piece, with \
               others' between. The RFC advises against fewer than 1000",
    },
    ConfigOption {
        name: "service.imap.parkrings",
        kind: Kind::Number { min: 0, max: 64 },
        default: "0",
        refreshable: false,
        help: "io_uring instances a shard keeps idle connections in; 0 means as many as needed",
    },
    ConfigOption {
        name: "service.imap.port",
        kind: PORT,
        default: "143",
        refreshable: false,
        help: "TCP port of IMAP; 0 turns the listener off",
    },
    ConfigOption {
        name: "service.imap.proxyprotocol",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "whether connections from service.proxy.networks to the ports of IMAP begin with a \
               header of the PROXY protocol (HAProxy's send-proxy or send-proxy-v2, nginx's \
               proxy_protocol on), which names the client; those without one are closed. Version 2 \
               can tell that the client came by TLS: then passwords may come",
    },
    ConfigOption {
        name: "service.imap.savelimit",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000_000,
        },
        default: "0",
        refreshable: false,
        help: "messages that one COPY or APPEND may save (SAVELIMIT, RFC 9738); more are refused. \
               With 0 there is no limit. With service.imap.messagelimit that is what holds",
    },
    ConfigOption {
        name: "service.imap.scram",
        kind: Kind::Word(&["auto", "yes", "no"]),
        default: "auto",
        refreshable: false,
        help: "whether clients may log in by SCRAM-SHA-256: yes, no, or auto, once each user has a \
               verifier. Unless it is no, msguser makes verifiers, and so do logins: with auto of \
               users whose hash is costly to check, which the verifier then spares. Who steals \
               verifiers guesses against them at a fraction of the price of {ARGON2ID}",
    },
    ConfigOption {
        name: "service.imap.shards",
        kind: Kind::Number { min: 0, max: 256 },
        default: "0",
        refreshable: false,
        help: "shards, a core each; 0 means as many as the host has cores",
    },
    ConfigOption {
        name: "service.imap.spin",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        default: "0",
        refreshable: false,
        help: "microseconds a shard looks for work before it sleeps; costs CPU time, saves latency",
    },
    ConfigOption {
        name: "service.imap.sslport",
        kind: PORT,
        default: "993",
        refreshable: false,
        help: "TCP port of IMAP over TLS, of use once config/tls/ holds a certificate; 0 turns the \
               listener off",
    },
    ConfigOption {
        name: "service.imap.stillhere",
        kind: Kind::Number { min: 0, max: 1740 },
        default: "0",
        refreshable: false,
        help: "seconds between two words to an idling client that the server is still here; \
               0 means never: TCP's own probes keep connections open and find dead ones",
    },
    ConfigOption {
        name: "service.imap.submitusers",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "users with commas or blanks between them by whom submission servers log in: with \
               URLFETCH (RFC 4467) they read what other users have signed for submit+USER, and \
               nobody else does",
    },
    ConfigOption {
        name: "service.imap.trustednetworks",
        kind: Kind::Networks,
        default: "",
        refreshable: false,
        help: "networks of webmail and proxies that may name the client before login, by the \
               fields x-originating-ip and x-session-id of the command ID; log lines, limits and \
               delays are the client's then. From others these fields mean nothing",
    },
    ConfigOption {
        name: "service.imap.unauthenticate",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether a connection may be used for one user after the other, by the command \
               UNAUTHENTICATE (RFC 8437): gateways that act for many users need it, others don't",
    },
    ConfigOption {
        name: "service.imap.writetimeout",
        kind: Kind::Number { min: 5, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds after which a client that does not read what it is sent is disconnected",
    },
    ConfigOption {
        name: "service.landlock",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether the IMAP server can reach only the base directory, the folders of sockets, \
               log file and plug-ins that options name, and for reading what programs need of the \
               system; and the broker only its Unix socket's folder, run/ and its certificates. \
               Neither can signal processes that it has not started, if the kernel knows how",
    },
    ConfigOption {
        name: "service.listenaddr",
        kind: Kind::Address,
        default: "0.0.0.0",
        refreshable: false,
        help: "address on which IMAP listens; 0.0.0.0 means all IPv4 addresses, :: all addresses",
    },
    ConfigOption {
        name: "service.lmtp.listenaddr",
        kind: Kind::Address,
        default: "127.0.0.1",
        refreshable: false,
        help: "address on which LMTP listens; whoever can connect can deliver",
    },
    ConfigOption {
        name: "service.lmtp.maxconnections",
        kind: Kind::Number {
            min: 1,
            max: 100_000,
        },
        default: "10000",
        refreshable: false,
        help: "LMTP connections at a time; more are told to come back later",
    },
    ConfigOption {
        name: "service.lmtp.maxperpeer",
        kind: Kind::Number {
            min: 0,
            max: 100_000,
        },
        default: "0",
        refreshable: false,
        help: "LMTP connections of one address (or IPv6 network of 64 bits, or Unix socket) at a \
               time; 0 means half of service.lmtp.maxconnections",
    },
    ConfigOption {
        name: "service.lmtp.overquota",
        kind: Kind::Word(&["permanent", "temporary"]),
        default: "permanent",
        refreshable: true,
        help: "how mail for a user over quota is refused: permanent (552) or temporary (452)",
    },
    ConfigOption {
        name: "service.lmtp.port",
        kind: PORT,
        default: "24",
        refreshable: false,
        help: "TCP port of LMTP; 0 turns the listener off",
    },
    ConfigOption {
        name: "service.lmtp.proxyprotocol",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "the same as service.imap.proxyprotocol for the TCP port of LMTP",
    },
    ConfigOption {
        name: "service.lmtp.socket",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "Unix socket of LMTP, which any user may use; not in run/, which is closed to them; \
               none means no such listener",
    },
    ConfigOption {
        name: "service.lmtp.submitters",
        kind: Kind::Networks,
        default: "",
        refreshable: false,
        help: "networks of deliverers that are believed about who submitted a message (AUTH= of \
               MAIL FROM, RFC 4954), which clients read as XSENDER; of others it is not kept",
    },
    ConfigOption {
        name: "service.lmtp.transactiontimeout",
        kind: Kind::Number {
            min: 10,
            max: 86_400,
        },
        default: "1800",
        refreshable: false,
        help: "seconds that a deliverer may take from MAIL to the message's end",
    },
    ConfigOption {
        name: "service.proxy.networks",
        kind: Kind::Networks,
        default: "",
        refreshable: false,
        help: "networks of proxies whose connections begin with a header of the PROXY protocol, on \
               ports whose proxyprotocol is on. From elsewhere no header is looked for. A proxy on \
               this host can have an address of its own (HAProxy: source 127.0.0.2), so that other \
               programs here come without one",
    },
    ConfigOption {
        name: "service.restrictrings",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether the kernel refuses the io_uring instances of IMAP server and broker every \
               operation that they don't use",
    },
    ConfigOption {
        name: "service.seccomp",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether IMAP server and broker, once they serve, can make only the system calls \
               that they use: starting programs and taking ports are not among them; a \
               notification plug-in of your own that needs others is refused them (EPERM) unless \
               this is off",
    },
    ConfigOption {
        name: "service.stallms",
        kind: Kind::Number {
            min: 0,
            max: 60_000,
        },
        default: "10",
        refreshable: false,
        help: "milliseconds after which something that holds up others is named in the log; \
               0 is never",
    },
    ConfigOption {
        name: "service.user",
        kind: Kind::Text,
        default: "ensign",
        refreshable: false,
        help: "user that the services become when root starts them, once they have their ports; \
               root is to stay root, which gives whoever breaks in all of this host",
    },
];
