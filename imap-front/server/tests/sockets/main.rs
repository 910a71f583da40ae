//! `imapd` itself, spoken to over sockets: what a client, a deliverer and an operator see.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod accounts;
mod backups;
mod bus;
mod busy_backup;
mod certificates;
mod channels;
mod compressed;
mod confined;
mod contexts;
mod damage;
mod deliverers;
mod door;
mod ended;
mod expiry;
mod flags;
mod handover;
mod handover_hanging;
mod idle;
mod imports;
mod limits;
mod logins;
mod logs;
mod loss;
mod many_imports;
mod memory;
mod multisearch;
mod notified;
mod offer;
mod older_base;
mod panics;
mod proxies;
mod quotas;
mod refreshing;
mod refused;
mod remembered;
mod scram;
mod secure_broker;
mod service_user;
mod shared;
mod signed_urls;
mod site;
mod sorted;
mod stop;
mod strangers;
mod supervised;
mod tls;
mod tokens;
mod tools;
mod uploads;
mod users;
mod watched;
mod words;

#[allow(dead_code, reason = "one server is enough here")]
#[path = "../../../../engine/ens/tests/broker/nats_servers.rs"]
mod nats_servers;
