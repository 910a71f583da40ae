//! The event notification broker as a part of this process: `ens.embedded`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use admin::tools::ask::{AskError, Asker};
use admin::{Base, Config};
use ens::access::{Access, AccessError};
use ens::broker::{BrokerConfig, SubscriptionLimits};
use ens::frame::Scope;
use ens::server::{self, Bound, Options};
use ens::site;
use monitor::table::{self, Metric};
use serde_json::json;

/// Why the broker can't start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Its rules.
    #[error("{0}")]
    Access(#[from] AccessError),
    /// The site that it is to join.
    #[error("ens.nats: {0}")]
    Site(String),
    /// Its ports or the kernel.
    #[error("{0}")]
    Start(#[from] server::StartError),
}

/// How many shards it has; none if it is not in this process.
pub fn shards(config: &Config) -> Option<u16> {
    if !config.switch("ens.embedded") || !config.switch("local.ens.enable") {
        return None;
    }
    let shards = match config.count("ens.shards") {
        0 => 1,
        shards => shards as u16,
    };
    Some(shards.clamp(1, engine::limits::SHARDS_MAX))
}

/// Takes the broker's port, if this process is to be one. Who may connect is in `ENS_ACCESS`.
///
/// # Errors
/// What keeps it from starting.
pub fn bind(config: &Config) -> Result<Option<Bound>, BrokerError> {
    let Some(shards) = shards(config) else {
        return Ok(None);
    };
    let keepalive = config.count("ens.keepalive") as u16;
    let address = config
        .value("service.listenaddr")
        .parse()
        .expect("values are checked when they are read");
    let port = |option| match config.count(option) as u16 {
        0 => None,
        port => Some(SocketAddr::new(address, port)),
    };
    let options = Options {
        tcp: port("ens.port"),
        tls: port("ens.sslport"),
        unix: config.path("ens.socket"),
        shards,
        pending_bytes_max: config.count("ens.maxpending").max(1) as usize,
        write_timeout_s: config.count("ens.writetimeout"),
        spin_ns: config.count("ens.spin") * 1000,
        restricted_rings: config.switch("service.restrictrings"),
        site: site(config).map_err(BrokerError::Site)?,
        broker: BrokerConfig {
            connections_max: config.count("ens.maxconnections").max(1) as usize,
            of_client: SubscriptionLimits {
                count: config.count("ens.maxsubscriptions") as usize,
                bytes: config.count("ens.maxsubscriptionbytes") as usize,
            },
            of_all: SubscriptionLimits {
                count: config.count("ens.maxallsubscriptions") as usize,
                bytes: config.count("ens.maxallsubscriptionbytes") as usize,
            },
            scope: scope(config),
            ..BrokerConfig::new(Access::from_env()?, keepalive)
        },
        ..Options::default()
    };
    Ok(Some(server::bind(options)?))
}

/// What subscriptions hear that don't say.
fn scope(config: &Config) -> Scope {
    let word = config.word("ens.nats.scope");
    word.parse().expect("values are checked when they are read")
}

/// The site that it joins, if it joins one.
fn site(config: &Config) -> Result<Option<site::Ready>, String> {
    options_of_site(config)
        .map(|options| options.read())
        .transpose()
}

fn options_of_site(config: &Config) -> Option<site::Options> {
    let urls = config.value("ens.nats.url").split(',').map(str::trim);
    let urls: Vec<String> = urls
        .filter(|url| !url.is_empty())
        .map(str::to_owned)
        .collect();
    let file = |option| config.path(option).map(|path| config.base().join(path));
    (!urls.is_empty()).then(|| site::Options {
        urls,
        site: config.value("ens.nats.site").to_owned(),
        credentials: file("ens.nats.credentials"),
        ca: file("ens.nats.ca"),
        waiting_bytes_max: config.count("ens.nats.maxpending") as usize,
    })
}

/// What `imapd --check` says of the site, if the broker of this host joins one.
pub fn described_site(config: &Config) -> Option<String> {
    let options = options_of_site(config)?;
    let (site, urls) = (&options.site, options.urls.join(", "));
    Some(match options.read() {
        Ok(_) => format!("the broker joins the site {site} by {urls}"),
        Err(error) => format!("the broker can't join the site {site}: {error}"),
    })
}

/// What `imapd --check` says of the site as the server finds it, if one runs.
pub fn state_of_site(base: &Base, config: &Config) -> Option<String> {
    let options = options_of_site(config)?;
    let site = &options.site;
    let mut found = BTreeMap::new();
    let asked = Asker::of(base).and_then(|mut server| {
        server.ask(&json!({ "ask": "counters" }), |line| {
            if let (Some(name), Some(count)) = (line["name"].as_str(), line["value"].as_u64()) {
                *found.entry(name.to_owned()).or_default() += count;
            }
            Ok(())
        })
    });
    match asked {
        Err(AskError::NoServer(_)) => return None,
        Err(error) => {
            return Some(format!(
                "the site {site}: the server can't be asked: {error}"
            ));
        }
        Ok(_) => {}
    }
    let of = |metric: &Metric| found.get(&metric.sample_name()).copied();
    let lost = of(&table::SITE_LOST).unwrap_or_default();
    let lost = match lost {
        0 => "nothing was lost between hosts".to_owned(),
        lost => format!("{lost} losses between hosts since the start, see ensign_site_events_lost"),
    };
    Some(
        match (of(&table::SITE_CONNECTED), of(&table::SITE_BROKERS)) {
            (Some(1), brokers) => {
                let others = brokers.unwrap_or_default();
                format!("the broker is in the site {site} with {others} others; {lost}")
            }
            (Some(_), _) => {
                let urls = options.urls.join(", ");
                format!("the broker is cut off from the site {site}: no answer of {urls}; {lost}")
            }
            // Its log tells.
            (None, _) if !config.switch("ens.embedded") => {
                format!("the site {site} is joined by enpd: see its log")
            }
            (None, _) => format!("the running server has not joined the site {site}: restart it"),
        },
    )
}
