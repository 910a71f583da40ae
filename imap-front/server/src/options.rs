//! The configuration as this server uses it.
#![expect(
    clippy::disallowed_methods,
    reason = "the greeting carries the day of the start"
)]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use admin::config::Networks;
use admin::{Base, Config, Users};
use engine::Limits;
use mail::Namespaces;
use proto::imap::{MessageLimit, STREAM_ENDS, SessionConfig, Urls};

use crate::accounts::Accounts;
use crate::front::Timeouts;
use crate::mark;
use crate::proxies::Proxies;
use crate::quotas::Quotas;
use crate::tokens;

/// What all streams of compressed connections may take.
const COMPRESSED: &str = "service.imap.maxcompressed";
const SECOND_NS: u64 = 1_000_000_000;
/// Longer than any server runs.
const NEVER_NS: u64 = u64::MAX / 4;
/// How long the end waits for what is under way, and for clients that don't take their last reply.
const STOP_NS: u64 = 10 * SECOND_NS;
/// Topics of lost events that are remembered one by one: then only those resynchronise.
const LOST_TOPICS_MAX: usize = 64 * 1024;
/// Replies, events and the like handled in one turn: few, so that a turn is short.
const ITEMS_PER_TURN: usize = 256;
/// What all clients of a shard may have waiting, at least: two pieces of an answer.
const OUTPUT_BYTES_MIN: usize = 64 << 10;
/// Room for events, replies and frames on each shard.
const LANE: usize = 16 * 1024;

/// Everything that `imapd` goes by.
pub struct Options {
    /// Shards.
    pub shards: u16,
    /// IMAP connections in all.
    pub sessions_max: usize,
    /// Rings a shard; 0 is as many as the connections need.
    pub rings: usize,
    /// Whether rings are refused what the server doesn't use.
    pub restricted_rings: bool,
    /// How long a data plane looks for work before it sleeps, in nanoseconds.
    pub spin_ns: u64,
    /// What of a client's certificate is its user's name.
    pub named_by: tls::NamedBy,
    /// What sessions have in common.
    pub session: SessionConfig,
    /// How long clients may be quiet.
    pub timeouts: Timeouts,
    /// The engine's bounds, for each shard.
    pub limits: Limits,
    /// Connections that one address may have, if that is limited.
    pub address_max: Option<u32>,
    /// Connections that one user may have, if that is limited.
    pub user_max: Option<u32>,
    /// Proxies that say whose connections they pass on.
    pub proxies: Proxies,
    /// Who may name the client by the command ID.
    pub trusted: Arc<Networks>,
    /// Logins that one address may try a minute; 0 is no limit.
    pub logins_a_minute: u64,
    /// Calls that take longer are named in the log, in nanoseconds; 0 is never.
    pub stall_ns: u64,
    /// The store's limits.
    pub store: store::Options,
    /// The store's folder.
    pub data: PathBuf,
}

impl Options {
    /// From the configuration; the users' own quotas come from the directory.
    pub fn new(base: &Base, config: &Config, users: &Arc<Users>) -> Self {
        let shards = u64::from(shards(config));
        let sessions_max = config.count("service.imap.maxsessions") as usize;
        // The kernel spreads connections by chance: each shard may have more than its share.
        let share = sessions_max.div_ceil(shards as usize);
        let own_max = match shards {
            1 => share,
            _ => (share + share / 8 + 64).min(sessions_max),
        };
        let deliverers = config.count("service.lmtp.maxconnections") as usize;
        let limits = Limits {
            connections_max: deliverers + own_max,
            connections_all_max: deliverers + sessions_max,
            shutdown_ns: STOP_NS,
            stall_ns: config.count("service.stallms") * 1_000_000,
            events_queue: LANE,
            replies_queue: LANE,
            shard_messages_queue: LANE,
            items_per_turn: ITEMS_PER_TURN,
            lost_topics_max: LOST_TOPICS_MAX,
            output_bytes_max: (config.count("service.imap.maxoutput") / shards) as usize,
            stream_ends: Some(STREAM_ENDS),
            windows_bytes_max: (config.count(COMPRESSED) / shards).max(1) as usize,
            write_timeout_ns: config.count("service.imap.writetimeout") * SECOND_NS,
            ..Limits::default()
        };
        let session = session(config);
        let watchers = session.watchers.clone();
        Self {
            shards: shards as u16,
            sessions_max,
            rings: config.count("service.imap.parkrings") as usize,
            restricted_rings: config.switch("service.restrictrings"),
            spin_ns: config.count("service.imap.spin") * 1000,
            named_by: match config.word("ssl.clientname").as_str() {
                "cn" => tls::NamedBy::CommonName,
                _ => tls::NamedBy::Email,
            },
            session,
            timeouts: Timeouts {
                login_ns: config.count("service.imap.logintimeout") * SECOND_NS,
                inactivity_ns: config.count("service.imap.idletimeout") * 60 * SECOND_NS,
                keepalive_ns: match config.count("service.imap.stillhere") {
                    0 => NEVER_NS,
                    seconds => seconds * SECOND_NS,
                },
            },
            limits,
            address_max: limit(config, "service.imap.maxperaddress"),
            user_max: limit(config, "service.imap.maxperuser"),
            proxies: Proxies::from_config(config),
            trusted: Arc::new(config.networks("service.imap.trustednetworks")),
            logins_a_minute: config.count("service.imap.loginsperminute"),
            stall_ns: config.count("service.stallms") * 1_000_000,
            store: store::Options {
                watchers,
                ..store_options(config, users)
            },
            data: base.data(),
        }
    }

    /// Whether the limits agree with each other.
    ///
    /// # Errors
    /// Which options don't, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.proxies.check()?;
        let Limits {
            output_bytes_max,
            stall_ns,
            write_timeout_ns,
            ..
        } = self.limits;
        if output_bytes_max < OUTPUT_BYTES_MIN {
            return Err(format!(
                "service.imap.maxoutput leaves {output_bytes_max} bytes to each of {} shards, and \
                 {OUTPUT_BYTES_MIN} are the least: raise it, or lower service.imap.shards",
                self.shards
            ));
        }
        if stall_ns > write_timeout_ns {
            return Err(format!(
                "service.stallms is {}, longer than service.imap.writetimeout: a client would be \
                 cut before a stall is named",
                stall_ns / 1_000_000
            ));
        }
        if self.session.login_bytes_max > self.session.command_bytes_max {
            return Err("a command may be longer before login than after it".into());
        }
        if let Err(why) = self.store.namespaces.check() {
            return Err(format!("store.otherusers and store.sharedfolders: {why}"));
        }
        let most = [
            ("store.maxmetadata", self.store.metadata_bytes_max, 8 << 20),
            (
                "store.maxmetadatasize",
                self.store.metadata_value_bytes_max,
                32 << 10,
            ),
        ];
        if let Some((name, is, most)) = most.iter().find(|(_, is, most)| is > most) {
            return Err(format!("{name} is {is}, and {most} is the most"));
        }
        self.store.check()?;
        self.limits.check().map_err(|found| found.to_string())
    }
}

/// A limit; none if the option is 0.
fn limit(config: &Config, option: &str) -> Option<u32> {
    match config.count(option) {
        0 => None,
        max => Some(u32::try_from(max).unwrap_or(u32::MAX)),
    }
}

/// Shards: as many as are asked for, or as there are cores; 1 to 64.
pub fn shards(config: &Config) -> u16 {
    let shards = match config.count("service.imap.shards") {
        0 => std::thread::available_parallelism().map_or(1, usize::from) as u64,
        shards => shards,
    };
    shards.clamp(1, 64) as u16
}

fn session(config: &Config) -> SessionConfig {
    let version = env!("CARGO_PKG_VERSION");
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = proto::imap::encode::civil_from_days(seconds as i64 / 86_400);
    let date = format!("{year:04}-{month:02}-{day:02}");
    proto::imap::language::prepare();
    SessionConfig {
        banner: config.banner("IMAP4", version, &built(), &date),
        product: "Ensign".into(),
        version: version.into(),
        literal_minus: config.switch("service.imap.literalminus"),
        guide_greeting: config.switch("service.imap.guidegreeting"),
        submitters: !config.networks("service.lmtp.submitters").is_empty(),
        urls: Urls {
            account: config.value("service.imap.accounturl").into(),
            lists: config.value("service.imap.listsurl").into(),
            filters: config.value("service.imap.filtersurl").into(),
        },
        tokens: tokens::hints(config),
        append_bytes_max: config.count("store.maxmessagesize"),
        message_limit: message_limit(config),
        namespaces: namespaces(config),
        prelogin_commands_max: limit(config, "service.imap.maxprelogin").unwrap_or(0),
        compresses: config.count(COMPRESSED) > 0,
        unauthenticates: config.switch("service.imap.unauthenticate"),
        notify_mailboxes_max: config.count("service.imap.maxnotify") as usize,
        ..SessionConfig::default()
    }
}

/// How many messages a command may work on, or save.
fn message_limit(config: &Config) -> Option<MessageLimit> {
    let max = |option| limit(config, option).and_then(NonZeroU32::new);
    let all = max("service.imap.messagelimit").map(MessageLimit::All);
    all.or_else(|| max("service.imap.savelimit").map(MessageLimit::Saves))
}

/// Where other users' mailboxes lie, and the shared ones.
fn namespaces(config: &Config) -> Namespaces {
    let text = |option| config.value(option).into();
    Namespaces {
        others: text("store.otherusers"),
        shared: text("store.sharedfolders"),
        shared_owner: config.word("store.sharedowner").into(),
    }
}

/// The day on which this program was built, by the build script; none if it could not tell.
fn built() -> String {
    let seconds = env!("ENSIGN_BUILT_S").parse::<i64>().ok();
    seconds.map_or(String::new(), |it| proto::imap::encode::day(it / 86_400))
}

fn store_options(config: &Config, users: &Arc<Users>) -> store::Options {
    let default = store::Quota {
        bytes: config.limit("store.defaultmailboxquota").unwrap_or(0),
        messages: config.limit("store.defaultmessagequota").unwrap_or(0),
    };
    let quotas = Quotas::new(users.clone(), default);
    store::Options {
        message_bytes_max: config.count("store.maxmessagesize"),
        quota: Arc::new(move |name: &str| quotas.of(name)),
        keywords_max: config.count("store.maxkeywords") as usize,
        namespaces: namespaces(config),
        directory: Some(Arc::new(Accounts(users.clone()))),
        anyone: config.switch("store.aclanyone"),
        acl_entries_max: config.count("store.maxaclentries") as usize,
        metadata_value_bytes_max: config.count("store.maxmetadatasize"),
        metadata_bytes_max: config.count("store.maxmetadata"),
        contact: config.value("service.imap.admincontact").into(),
        kept_s: config.count("store.expungedminutes") * 60,
        kept_bytes_max: config.count("store.expungedbytes"),
        horizon_s: config.count("store.expungeddays") * 24 * 3600,
        cache_bytes: config.count("store.cachesize"),
        mark: Some(mark::new()),
        ..store::Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let base = Base::new(folder.path());
        std::fs::create_dir_all(folder.path().join("config")).expect("made");
        std::fs::write(base.msg_conf(), text).expect("written");
        std::fs::write(base.users(), "").expect("written");
        let config = Config::load(&base).expect("each value is right");
        let users = Arc::new(Users::open(base.users()).expect("no users"));
        Options::new(&base, &config, &users).check()
    }

    #[test]
    fn limits_that_contradict_each_other_are_named_with_their_options() {
        assert_eq!(checked(""), Ok(()));
        let said = checked("service.imap.maxoutput = 1M\nservice.imap.shards = 64\n");
        assert_eq!(
            said.expect_err("too little"),
            "service.imap.maxoutput leaves 16384 bytes to each of 64 shards, and 65536 are the \
             least: raise it, or lower service.imap.shards"
        );
        let said = checked("store.otherusers = Others\n");
        assert_eq!(
            said.expect_err("no delimiter"),
            "store.otherusers and store.sharedfolders: Others has no / at its end"
        );
        let said = checked("service.lmtp.proxyprotocol = yes\n");
        assert_eq!(
            said.expect_err("nobody is trusted"),
            "service.lmtp.proxyprotocol is on and service.proxy.networks names nobody: set it to \
             the addresses of your proxies"
        );
        let both = "service.lmtp.proxyprotocol = yes\nservice.proxy.networks = 10.0.0.0/8\n";
        assert_eq!(checked(both), Ok(()));
        let said = checked("service.stallms = 10000\nservice.imap.writetimeout = 5\n");
        assert_eq!(
            said.expect_err("too long"),
            "service.stallms is 10000, longer than service.imap.writetimeout: a client would be \
             cut before a stall is named"
        );
    }
}
