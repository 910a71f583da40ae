//! The event notification broker as a part of this process: `ens.embedded`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use admin::tools::ask::{AskError, Asker};
use admin::{Base, Config};
use ens::access::{Access, AccessError};
use ens::broker::{BrokerConfig, SubscriptionLimits};
use ens::control;
use ens::frame::Scope;
use ens::server::{self, Bound, Options, Running};
use ens::site;
use monitor::table::{self, Metric};
use serde_json::json;

use crate::metrics::{Elsewhere, Site};

/// How long `enpd` may take to say how it finds its site.
const ENPD_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Why the broker can't start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Its rules.
    #[error("{0}")]
    Access(#[from] AccessError),
    /// The site that it is to join.
    #[error("the site of brokers: {0}")]
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
        certificate: file("ens.nats.certificate"),
        waiting_bytes_max: config.count("ens.nats.maxpending") as usize,
    })
}

/// What is counted of the site, if the broker of this host joins one, be it this process or `enpd`.
pub fn counted_site(base: &Base, config: &Config, broker: Option<&Running>) -> Option<Site> {
    if let Some(broker) = broker {
        return broker.site().cloned().map(Site::Here);
    }
    let is_there = config.switch("local.ens.enable") && options_of_site(config).is_some();
    is_there.then(|| Site::There(Elsewhere::new(base.broker_control())))
}

/// What `imapd --check` says of the site, if the broker of this host joins one: how the broker
/// that runs finds it, and whether one that starts could join it.
pub fn described_site(base: &Base, config: &Config) -> Vec<String> {
    let Some(options) = options_of_site(config) else {
        return vec![];
    };
    let (site, urls) = (&options.site, options.urls.join(", "));
    let state = state_of_site(base, config, &options);
    let joins = match options.read() {
        Ok(ready) => {
            let found =
                state.unwrap_or_else(|| format!("the broker joins the site {site} by {urls}"));
            let warnings = ready.warnings().iter().cloned();
            return [found].into_iter().chain(warnings).collect();
        }
        Err(error) => match state {
            Some(_) => format!("the broker will not start again: {error}"),
            None => format!("the broker can't join the site {site}: {error}"),
        },
    };
    state.into_iter().chain([joins]).collect()
}

/// How the broker finds the site, if one runs.
fn state_of_site(base: &Base, config: &Config, options: &site::Options) -> Option<String> {
    let site = &options.site;
    let (name, state) = match config.switch("ens.embedded") {
        true => ("server", asked_server(base)),
        false => ("enpd", asked_enpd(base)),
    };
    let State {
        connected,
        others,
        lost,
    } = match state {
        Asked::Nobody => return None,
        Asked::Failed(why) => {
            return Some(format!("the site {site}: the {name} can't be asked: {why}"));
        }
        Asked::NotJoined => {
            let text = format!("the running {name} has not joined the site {site}: restart it");
            return Some(text);
        }
        Asked::Is(state) => state,
    };
    let lost = match lost {
        0 => "nothing was lost between hosts".to_owned(),
        lost => format!("{lost} losses between hosts since the start, see ensign_site_events_lost"),
    };
    Some(match connected {
        true => format!("the broker is in the site {site} with {others} others; {lost}"),
        false => {
            let urls = options.urls.join(", ");
            // Where start-msg has its output go.
            let log = match name {
                "enpd" => "log/enpd.out, or the system's journal,",
                _ => "the log",
            };
            format!(
                "the broker is cut off from the site {site}: none of {urls} serves it, and {log} \
                 says why; {lost}"
            )
        }
    })
}

/// How a broker finds its site.
struct State {
    connected: bool,
    others: u64,
    lost: u64,
}

/// What came of asking for that.
enum Asked {
    Is(State),
    /// It has joined none, or is of a version that doesn't say.
    NotJoined,
    /// None runs.
    Nobody,
    Failed(String),
}

fn asked_enpd(base: &Base) -> Asked {
    match control::figures(&base.broker_control(), ENPD_ANSWERS_WITHIN) {
        Ok(Some(figures)) => Asked::Is(State {
            connected: figures.connected,
            others: figures.brokers,
            lost: figures.lost(),
        }),
        Ok(None) => Asked::NotJoined,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Asked::Nobody,
            _ => Asked::Failed(error.to_string()),
        },
    }
}

fn asked_server(base: &Base) -> Asked {
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
        Err(AskError::NoServer(_)) => return Asked::Nobody,
        Err(error) => return Asked::Failed(error.to_string()),
        Ok(_) => {}
    }
    let of = |metric: &Metric| found.get(&metric.sample_name()).copied();
    let Some(connected) = of(&table::SITE_CONNECTED) else {
        return Asked::NotJoined;
    };
    Asked::Is(State {
        connected: connected == 1,
        others: of(&table::SITE_BROKERS).unwrap_or_default(),
        lost: of(&table::SITE_LOST).unwrap_or_default(),
    })
}
