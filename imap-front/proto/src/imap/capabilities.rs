//! The capabilities: what each is called, where it is defined, when it is announced, and which
//! test proves it. What CAPABILITY says and `docs/capabilities.md` are made of this table.
//!
//! A new one is a line of its own: in its place among the words of the guide's greeting, which
//! come first and in the guide's order, or behind them. `cargo xtask docs` then writes the page.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::config::{Compression, MessageLimit, Offer, SessionConfig};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// As it is announced; what ends in `=` is followed by its value.
    pub word: &'static str,
    /// Where it is defined.
    pub source: &'static str,
    /// When it is announced.
    pub when: When,
    /// What shows that it works.
    pub proof: Proof,
}

/// A test, by its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A conversation.
    Transcript(&'static str),
    /// Sessions without a server.
    Session(&'static str),
    /// A server and its clients.
    Sockets(&'static str),
}

impl Proof {
    /// The file, in the repository.
    pub fn path(self) -> String {
        match self {
            Self::Transcript(name) => format!("imap-front/proto/tests/transcripts/{name}.txt"),
            Self::Session(name) => format!("imap-front/proto/tests/{name}.rs"),
            Self::Sockets(name) => format!("imap-front/server/tests/sockets/{name}.rs"),
        }
    }
}

/// When a capability is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At all times.
    Always,
    /// After login: of no use before. Clients with small buffers are greeted too (gnutls-cli takes
    /// 1,024 bytes).
    LoggedIn,
    /// The same, unless `service.imap.maxnotify` is 0.
    Notifying,
    /// The same, if `service.imap.messagelimit` is set.
    MessageLimit,
    /// The same, if `service.imap.savelimit` is set, and that is not.
    SaveLimit,
    /// The same, where connections may be compressed, and this one is not.
    Uncompressed,
    /// The same, unless `service.imap.unauthenticate` is off.
    Unauthenticating,
    /// Unless `service.imap.literalminus` is set.
    LongLiterals,
    /// If it is.
    ShortLiterals,
    /// While IDLE can be offered.
    Idling,
    /// Before login, if TLS can be begun.
    Tls,
    /// Before login, if passwords may come over the connection.
    Passwords,
    /// Before login, if they may not.
    NoPasswords,
    /// Before login, if SCRAM is offered.
    Scram,
    /// The same, if it can be bound to the connection.
    ScramPlus,
    /// Before login, if bearer tokens are taken.
    Tokens,
    /// Before login, if the client has shown a certificate with a name.
    Certificate,
    /// If it can be known who submitted a message; and with the guide's greeting.
    Submitters,
    /// If the provider has pages; and with the guide's greeting.
    Pages,
    /// With the option `service.imap.guidegreeting`.
    GuideGreeting,
}

/// The words of the guide's greeting, in its order.
pub const GUIDE: [&str; 21] = [
    "IMAP4",
    "IMAP4rev1",
    "ACL",
    "QUOTA",
    "LITERAL+",
    "NAMESPACE",
    "UIDPLUS",
    "CHILDREN",
    "BINARY",
    "UNSELECT",
    "SORT",
    "LANGUAGE",
    "STARTTLS",
    "IDLE",
    "XSENDER",
    "X-NETSCAPE",
    "XSERVERINFO",
    "X-SUN-SORT",
    "X-SUN-IMAP",
    "X-ANNOTATEMORE",
    "AUTH=PLAIN",
];

use {Proof as P, When as W};

/// The table.
#[rustfmt::skip]
pub static CAPABILITIES: &[Capability] = &[
    row("IMAP4", "RFC 1730", W::Always, P::Transcript("obsolete")),
    row("IMAP4rev1", "RFC 3501", W::Always, P::Transcript("select_and_examine")),
    row("ACL", "RFC 4314", W::Always, P::Transcript("acl")),
    row("QUOTA", "RFC 9208", W::Always, P::Transcript("quota")),
    row("LITERAL+", "RFC 7888", W::LongLiterals, P::Session("literals")),
    row("NAMESPACE", "RFC 2342", W::Always, P::Transcript("list")),
    row("UIDPLUS", "RFC 4315", W::Always, P::Transcript("copy_and_move")),
    row("CHILDREN", "RFC 3348", W::Always, P::Transcript("list")),
    row("BINARY", "RFC 3516", W::Always, P::Transcript("binary")),
    row("UNSELECT", "RFC 3691", W::Always, P::Transcript("close_and_unselect")),
    row("SORT", "RFC 5256", W::Always, P::Transcript("sort")),
    row("LANGUAGE", "RFC 5255", W::Always, P::Transcript("language")),
    row("STARTTLS", "RFC 3501", W::Tls, P::Session("starttls")),
    row("IDLE", "RFC 2177", W::Idling, P::Transcript("idle")),
    row("XSENDER", "Netscape Messaging Server", W::Submitters, P::Sockets("words")),
    row("X-NETSCAPE", "Netscape Messaging Server", W::Always, P::Transcript("obsolete")),
    row("XSERVERINFO", "Netscape Messaging Server", W::Pages, P::Transcript("obsolete")),
    row("X-SUN-SORT", "nowhere", W::GuideGreeting, P::Session("capabilities")),
    row("X-SUN-IMAP", "nowhere", W::GuideGreeting, P::Session("capabilities")),
    row("X-ANNOTATEMORE", "draft-daboo-imap-annotatemore", W::Always, P::Transcript("annotation")),
    row("AUTH=PLAIN", "RFC 4616", W::Passwords, P::Transcript("authenticate_plain")),
    // Beyond the guide.
    row("IMAP4rev2", "RFC 9051", W::Always, P::Transcript("imap4rev2")),
    row("AUTH=LOGIN", "draft-murchison-sasl-login", W::Passwords, P::Session("sasl")),
    row("LOGINDISABLED", "RFC 3501", W::NoPasswords, P::Session("starttls")),
    row("AUTH=SCRAM-SHA-256", "RFC 7677", W::Scram, P::Transcript("authenticate_scram")),
    row("AUTH=SCRAM-SHA-256-PLUS", "RFC 7677", W::ScramPlus, P::Session("sasl")),
    row("AUTH=OAUTHBEARER", "RFC 7628", W::Tokens, P::Sockets("tokens")),
    row("AUTH=XOAUTH2", "developers.google.com", W::Tokens, P::Sockets("tokens")),
    row("AUTH=EXTERNAL", "RFC 4422", W::Certificate, P::Sockets("channels")),
    row("LITERAL-", "RFC 7888", W::ShortLiterals, P::Session("literals")),
    row("SASL-IR", "RFC 4959", W::Always, P::Transcript("authenticate_plain")),
    row("ID", "RFC 2971", W::Always, P::Transcript("enable_and_id")),
    row("ENABLE", "RFC 5161", W::Always, P::Transcript("enable_and_id")),
    row("UTF8=ACCEPT", "RFC 9755", W::LoggedIn, P::Transcript("utf8")),
    row("UNAUTHENTICATE", "RFC 8437", W::Unauthenticating, P::Transcript("unauthenticate")),
    row("X-UNAUTHENTICATE", "RFC 8437", W::Unauthenticating, P::Transcript("unauthenticate")),
    row("COMPRESS=DEFLATE", "RFC 4978", W::Uncompressed, P::Sockets("compressed")),
    row("MULTIAPPEND", "RFC 3502", W::LoggedIn, P::Transcript("multiappend")),
    row("CATENATE", "RFC 4469", W::LoggedIn, P::Transcript("catenate")),
    row("URLAUTH", "RFC 4467", W::LoggedIn, P::Transcript("urlauth")),
    row("REPLACE", "RFC 8508", W::LoggedIn, P::Transcript("replace")),
    row("MOVE", "RFC 6851", W::LoggedIn, P::Transcript("copy_and_move")),
    row("SPECIAL-USE", "RFC 6154", W::LoggedIn, P::Transcript("list_extended")),
    row("CREATE-SPECIAL-USE", "RFC 6154", W::LoggedIn, P::Transcript("list_extended")),
    row("LIST-EXTENDED", "RFC 5258", W::LoggedIn, P::Transcript("list_extended")),
    row("LIST-STATUS", "RFC 5819", W::LoggedIn, P::Transcript("list_extended")),
    row("LIST-MYRIGHTS", "RFC 8440", W::LoggedIn, P::Transcript("acl")),
    row("RIGHTS=kxte", "RFC 4314", W::LoggedIn, P::Transcript("acl")),
    row("ESEARCH", "RFC 4731", W::LoggedIn, P::Transcript("esearch")),
    row("SEARCHRES", "RFC 5182", W::LoggedIn, P::Transcript("searchres")),
    row("WITHIN", "RFC 5032", W::LoggedIn, P::Transcript("searchres")),
    row("PARTIAL", "RFC 9394", W::LoggedIn, P::Transcript("esearch")),
    row("MULTISEARCH", "RFC 7377", W::LoggedIn, P::Transcript("multisearch")),
    row("NOTIFY", "RFC 5465", W::Notifying, P::Transcript("notify")),
    row("CONTEXT=SEARCH", "RFC 5267", W::LoggedIn, P::Transcript("context")),
    row("CONTEXT=SORT", "RFC 5267", W::LoggedIn, P::Transcript("context")),
    row("SORT=DISPLAY", "RFC 5957", W::LoggedIn, P::Transcript("sort")),
    row("ESORT", "RFC 5267", W::LoggedIn, P::Transcript("sort")),
    row("THREAD=ORDEREDSUBJECT", "RFC 5256", W::LoggedIn, P::Transcript("thread")),
    row("THREAD=REFERENCES", "RFC 5256", W::LoggedIn, P::Transcript("thread")),
    row("THREAD=REFS", "draft-ietf-morg-inthread", W::LoggedIn, P::Transcript("thread")),
    row("I18NLEVEL=1", "RFC 5255", W::LoggedIn, P::Transcript("casemap")),
    row("CONDSTORE", "RFC 7162", W::LoggedIn, P::Transcript("condstore")),
    row("QRESYNC", "RFC 7162", W::LoggedIn, P::Transcript("qresync")),
    row("INPROGRESS", "RFC 9585", W::LoggedIn, P::Transcript("inprogress")),
    row("UIDONLY", "RFC 9586", W::LoggedIn, P::Transcript("uidonly")),
    row("MESSAGELIMIT=", "RFC 9738", W::MessageLimit, P::Session("message_limit")),
    row("SAVELIMIT=", "RFC 9738", W::SaveLimit, P::Session("message_limit")),
    row("QUOTA=RES-STORAGE", "RFC 9208", W::LoggedIn, P::Transcript("quota")),
    row("QUOTA=RES-MESSAGE", "RFC 9208", W::LoggedIn, P::Transcript("quota")),
    row("QUOTA=RES-MAILBOX", "RFC 9208", W::LoggedIn, P::Transcript("quota")),
    row("QUOTASET", "RFC 9208", W::LoggedIn, P::Transcript("quota")),
    row("METADATA", "RFC 5464", W::LoggedIn, P::Transcript("metadata")),
    row("METADATA-SERVER", "RFC 5464", W::LoggedIn, P::Transcript("metadata")),
    row("LIST-METADATA", "RFC 9590", W::LoggedIn, P::Transcript("metadata")),
    row("STATUS=SIZE", "RFC 8438", W::LoggedIn, P::Transcript("status")),
    row("OBJECTID", "RFC 8474", W::LoggedIn, P::Transcript("objectid")),
    row("PREVIEW", "RFC 8970", W::LoggedIn, P::Transcript("preview")),
    row("SAVEDATE", "RFC 8514", W::LoggedIn, P::Transcript("savedate")),
    row("APPENDLIMIT=", "RFC 7889", W::LoggedIn, P::Transcript("status")),
];

/// The table for users, as `docs/capabilities.md` has it.
pub fn page() -> String {
    let mut text = String::from(
        "# Capabilities\n\n\
         What `imapd` announces, in the order in which it does. The words of the guide's greeting \
         come first,\nin the guide's order.\n\n\
         <!-- Written by `cargo xtask docs` from the table in imap-front/proto. -->\n\n\
         | capability | defined in | announced | shown by |\n|---|---|---|---|\n",
    );
    for row in CAPABILITIES {
        let value = if row.word.ends_with('=') { "N" } else { "" };
        text.push_str(&format!(
            "| {}{value} | {} | {} | `{}` |\n",
            row.word,
            row.source,
            row.when.says(),
            row.proof.path(),
        ));
    }
    text
}

const fn row(word: &'static str, source: &'static str, when: When, proof: Proof) -> Capability {
    Capability {
        word,
        source,
        when,
        proof,
    }
}

impl When {
    /// For users.
    pub fn says(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::LoggedIn => "after login",
            Self::Notifying => "after login, unless `service.imap.maxnotify` is 0",
            Self::MessageLimit => "after login, with `service.imap.messagelimit`",
            Self::SaveLimit => "after login, with `service.imap.savelimit` alone",
            Self::Uncompressed => "after login, until COMPRESS (`service.imap.maxcompressed`)",
            Self::Unauthenticating => "after login, unless `service.imap.unauthenticate` is `no`",
            Self::LongLiterals => "always, but with `service.imap.literalminus`",
            Self::ShortLiterals => "with `service.imap.literalminus`, in the place of LITERAL+",
            Self::Idling => "while the guide's conditions for IDLE are met",
            Self::Tls => "before login, where TLS can be begun",
            Self::Passwords => "before login, over TLS or from this host",
            Self::NoPasswords => "before login, neither over TLS nor from this host",
            Self::Scram => "before login, once users have verifiers (`service.imap.scram`)",
            Self::ScramPlus => "the same, over TLS 1.3",
            Self::Tokens => "before login, with `oauth.keys`",
            Self::Certificate => "before login, to a client with a certificate (`ssl.clientcerts`)",
            Self::Submitters => "with `service.lmtp.submitters` or `service.imap.guidegreeting`",
            Self::Pages => {
                "with `service.imap.accounturl`, `.listsurl`, `.filtersurl` or `.guidegreeting`"
            }
            Self::GuideGreeting => "with `service.imap.guidegreeting`",
        }
    }

    fn holds(self, config: &SessionConfig, state: &State) -> bool {
        let offer = state.offer;
        let before_login = |holds: fn(&Offer) -> bool| offer.as_ref().is_some_and(holds);
        let passwords = before_login(|offer| offer.cleartext);
        let scram = passwords && state.scram;
        match self {
            Self::Always => true,
            Self::LoggedIn => offer.is_none(),
            Self::Notifying => offer.is_none() && config.notify_mailboxes_max > 0,
            Self::MessageLimit => {
                offer.is_none() && matches!(config.message_limit, Some(MessageLimit::All(_)))
            }
            Self::SaveLimit => {
                offer.is_none() && matches!(config.message_limit, Some(MessageLimit::Saves(_)))
            }
            Self::Uncompressed => {
                offer.is_none() && config.compresses && state.now != Compression::Active
            }
            Self::Unauthenticating => offer.is_none() && config.unauthenticates,
            Self::LongLiterals => !config.literal_minus,
            Self::ShortLiterals => config.literal_minus,
            Self::Idling => state.idle,
            Self::Tls => before_login(|offer| offer.starttls),
            Self::Passwords => passwords,
            Self::NoPasswords => before_login(|offer| !offer.cleartext),
            Self::Scram => scram,
            Self::ScramPlus => scram && before_login(|offer| offer.binding),
            Self::Tokens => passwords && config.tokens.is_some(),
            Self::Certificate => before_login(|offer| offer.external),
            Self::Submitters => config.submitters || config.guide_greeting,
            Self::Pages => config.urls.are_set() || config.guide_greeting,
            Self::GuideGreeting => config.guide_greeting,
        }
    }
}

/// What the capabilities of a session depend on besides its configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// What its connection offers; none after login.
    offer: Option<Offer>,
    now: Compression,
    /// IDLE is announced.
    idle: bool,
    /// SCRAM is offered to those who may log in.
    scram: bool,
}

impl SessionConfig {
    /// The state of a session before login if there is an offer, or after it.
    pub(super) fn state(&self, offer: Option<Offer>, now: Compression) -> State {
        State {
            offer,
            now,
            idle: self.idle && self.idle_announced.load(Ordering::Relaxed),
            scram: self.offers_scram(),
        }
    }

    /// The greeting, with its line end.
    pub(super) fn greeting(&self, offer: Offer) -> Bytes {
        let state = self.state(Some(offer), Compression::Possible);
        let depends = [
            offer.cleartext,
            offer.starttls,
            offer.binding,
            offer.external,
            state.idle,
            state.scram,
        ];
        self.lines.greeting(depends, || {
            let list = self.greeted(&state);
            format!("* OK [CAPABILITY {list}] {}\r\n", self.banner).into()
        })
    }

    /// What a login ends with, behind its tag and a blank, with the line end.
    pub(super) fn logged_in(&self, now: Compression) -> Bytes {
        let state = self.state(None, now);
        let depends = [state.idle, now == Compression::Active];
        self.lines.logged_in(depends, || {
            let list = self.listed(&state);
            format!("OK [CAPABILITY {list}] Logged in\r\n").into()
        })
    }

    /// The capabilities that a session has (RFC 3501 §6.1.1). Only what is fully there is listed.
    pub(super) fn listed(&self, state: &State) -> String {
        self.picked(state, |_| true)
    }

    /// Those that the greeting names: all before login, or with [`SessionConfig::guide_greeting`]
    /// those of the guide, and that passwords can't come where that is so.
    fn greeted(&self, state: &State) -> String {
        let short = self.guide_greeting;
        self.picked(state, |row| {
            let is_due = matches!(row.when, When::NoPasswords | When::ShortLiterals);
            !short || is_due || GUIDE.contains(&row.word)
        })
    }

    fn picked(&self, state: &State, wanted: impl Fn(&Capability) -> bool) -> String {
        let mut list = String::with_capacity(2048);
        for row in CAPABILITIES {
            if !wanted(row) || !row.when.holds(self, state) {
                continue;
            }
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(row.word);
            match (row.word, self.message_limit) {
                // RFC 7889 §2: the same for all mailboxes.
                ("APPENDLIMIT=", _) => list.push_str(&self.append_bytes_max.to_string()),
                ("MESSAGELIMIT=", Some(MessageLimit::All(max)))
                | ("SAVELIMIT=", Some(MessageLimit::Saves(max))) => list.push_str(&max.to_string()),
                _ => {}
            }
        }
        list
    }
}
