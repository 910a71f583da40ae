//! When the server offers IDLE: four conditions on one notification plug-in.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::Config;
use crate::config::PlugIn;

/// How long a broker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long a broker may take to close the connection of one that it denies.
const SHOWN_OUT_WITHIN: Duration = Duration::from_millis(300);

/// What can't be seen in the configuration.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// For each plug-in, why it can't be loaded, if it can't.
    pub not_loaded: Vec<Option<String>>,
    /// For each plug-in, why its broker can't be reached, if it can't.
    pub not_reached: Vec<Option<String>>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What must be.
    pub text: String,
    /// Whether it is.
    pub met: bool,
    /// What is wrong, and what to type, if it isn't.
    pub remedy: String,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, met, remedy } = self;
        if *met {
            write!(f, "met:     {text}")
        } else {
            write!(f, "not met: {text}\n         {remedy}")
        }
    }
}

/// Whether a key ends in `%M`, and not in an escaped one.
fn ends_in_mailbox(key: &str) -> bool {
    key.strip_suffix("%M")
        .is_some_and(|before| before.bytes().rev().take_while(|&b| b == b'%').count() % 2 == 0)
}

/// The four conditions, for the plug-in that meets most of them.
pub fn conditions(config: &Config, facts: Facts) -> Vec<Condition> {
    let plug_ins = config.plug_ins();
    let of = |at: usize| {
        let reason = |list: &[Option<String>]| list.get(at).cloned().flatten();
        of_plug_in(
            config,
            &plug_ins[at],
            reason(&facts.not_loaded),
            reason(&facts.not_reached),
        )
    };
    let met = |conditions: &Vec<Condition>| conditions.iter().filter(|it| it.met).count();
    (0..plug_ins.len())
        .map(of)
        .max_by_key(met)
        .unwrap_or_else(|| {
            let none = PlugIn {
                library: String::new(),
                instance: None,
            };
            let why = Some("no plug-in is set".into());
            of_plug_in(config, &none, why, None)
        })
}

fn of_plug_in(
    config: &Config,
    plug_in: &PlugIn,
    not_loaded: Option<String>,
    not_reached: Option<String>,
) -> Vec<Condition> {
    let set = |name: &str, value: &str| format!("configutil -o {name} -v \"{value}\"");
    let condition = |text: String, met: bool, remedy: String| Condition { text, met, remedy };
    let key = plug_in.option("enseventkey");
    let noneinbox = plug_in.option("noneinbox.enable");
    let host = plug_in.option("enshost");
    let library = config.base().join("lib/libibiff");
    let list = set(
        crate::config::plugins::PREFIX,
        &library.display().to_string(),
    );
    vec![
        condition(
            "the notification plug-in is loaded".into(),
            not_loaded.is_none(),
            format!("{}; {list}", not_loaded.unwrap_or_default()),
        ),
        condition(
            format!("{key} ends in %M"),
            ends_in_mailbox(config.value(&key)),
            set(&key, "enp://127.0.0.1/store/%M"),
        ),
        condition(
            format!("{noneinbox} is 1"),
            config.switch(&noneinbox),
            set(&noneinbox, "1"),
        ),
        condition(
            "the event notification broker can be reached".into(),
            not_reached.is_none(),
            format!(
                "{}; start-msg ens, or {}",
                not_reached.unwrap_or_default(),
                set(&host, "127.0.0.1")
            ),
        ),
    ]
}

impl Facts {
    /// As somebody finds them out who isn't the server: whether the libraries are there, and
    /// whether brokers answer. A broker within the server counts as reached.
    pub fn looked_up(config: &Config) -> Self {
        let plug_ins = config.plug_ins();
        let not_loaded = plug_ins.iter().map(|plug_in| {
            let path = library(config, plug_in);
            (!path.exists()).then(|| format!("{} does not exist", path.display()))
        });
        let not_reached = plug_ins.iter().map(|plug_in| {
            if is_embedded(config, plug_in) {
                return None;
            }
            let host = config.value(&plug_in.option("enshost"));
            let port = config.count(&plug_in.option("ensport")) as u16;
            not_reached(host, port).map(|why| format!("{host} port {port}: {why}"))
        });
        Self {
            not_loaded: not_loaded.collect(),
            not_reached: not_reached.collect(),
        }
    }
}

/// The file of a plug-in: below the base directory if its path is relative, with `.so` if that was
/// left off.
pub fn library(config: &Config, plug_in: &PlugIn) -> PathBuf {
    let path = config.base().join(&plug_in.library);
    if path.extension().is_some_and(|extension| extension == "so") {
        return path;
    }
    let mut name = path.clone().into_os_string();
    name.push(".so");
    let with = PathBuf::from(name);
    if with.exists() || !path.exists() {
        with
    } else {
        path
    }
}

/// Whether a plug-in's broker is the server itself: `ens.embedded`, and host and port are its own.
pub fn is_embedded(config: &Config, plug_in: &PlugIn) -> bool {
    let host = config.value(&plug_in.option("enshost"));
    let port = config.count(&plug_in.option("ensport"));
    let own = |address: SocketAddr| {
        let ip = address.ip();
        ip.is_loopback() || config.value("service.listenaddr") == ip.to_string()
    };
    config.switch("ens.embedded")
        && port == config.count("ens.port")
        && (host, port as u16)
            .to_socket_addrs()
            .is_ok_and(|mut all| all.any(own))
}

fn not_reached(host: &str, port: u16) -> Option<String> {
    let host = host.strip_prefix("enps://").unwrap_or(host);
    if host.starts_with('/') {
        return UnixStream::connect(host)
            .err()
            .map(|error| error.to_string());
    }
    match (host, port).to_socket_addrs() {
        Err(error) => Some(error.to_string()),
        Ok(addresses) => {
            let mut why = Some("it has no address".to_owned());
            for address in addresses {
                match TcpStream::connect_timeout(&address, ANSWER_WITHIN) {
                    Ok(stream) => return shown_out(stream),
                    Err(error) => why = Some(error.to_string()),
                }
            }
            why
        }
    }
}

/// A broker waits for its client's first word, or closes the connection of one that it denies.
fn shown_out(mut stream: TcpStream) -> Option<String> {
    let denied = "it closes the connection; ENS_ACCESS in its environment denies this host";
    // Nothing that can be set fails on a socket that was just connected.
    let _ = stream.set_read_timeout(Some(SHOWN_OUT_WITHIN));
    match stream.read(&mut [0]) {
        Ok(0) => Some(denied.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(denied.into()),
        _ => None,
    }
}
