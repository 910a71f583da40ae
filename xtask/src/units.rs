//! systemd's units for an installation: an alternative to start-msg and its watcher.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use admin::Config;
use anyhow::{Context, Result, bail};

/// Why services are stopped by a command.
const WAITS: &str = "\
# It waits for the end. To a process that has taken over, which was not systemd's child when it did,
# systemd gives no time: it asks it to end, and kills it at once.";

/// What a service is to systemd.
struct Unit {
    name: &'static str,
    text: fn(&Installation) -> String,
}

/// What units name.
struct Installation {
    /// The base directory as text.
    base: String,
    config: Config,
}

const UNITS: [Unit; 5] = [
    Unit {
        name: "ensign-ens.service",
        text: ens,
    },
    Unit {
        name: "ensign-imap.service",
        text: imap,
    },
    Unit {
        name: "ensign-imap.socket",
        text: |it| {
            socket(
                it,
                "imap",
                "IMAP",
                "service.imap.port",
                it.config.imap_address(),
            )
        },
    },
    Unit {
        name: "ensign-imaps.socket",
        text: |it| {
            socket(
                it,
                "imaps",
                "IMAP over TLS",
                "service.imap.sslport",
                it.config.imap_tls_address(),
            )
        },
    },
    Unit {
        name: "ensign-lmtp.socket",
        text: |it| {
            socket(
                it,
                "lmtp",
                "LMTP",
                "service.lmtp.port",
                it.config.lmtp_address(),
            )
        },
    },
];

/// Writes the units of a base directory, of which this is the configuration, to `folder`.
pub fn write(folder: &Path, base: &Path, config: Config) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let base = base.to_str().context("the base's path is no text")?;
    if base.contains('\n') {
        bail!("the base's path has a line break, which no unit can name");
    }
    let installation = Installation {
        base: base.to_owned(),
        config,
    };
    for unit in &UNITS {
        let path = folder.join(unit.name);
        fs::write(&path, (unit.text)(&installation))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn ens(installation: &Installation) -> String {
    let [start, stop] = ["start-msg", "stop-msg"].map(|it| installation.program(it));
    let base = installation.path("");
    let hardening = hardening(installation);
    format!(
        "\
[Unit]
Description=Ensign's event notification broker
Before=ensign-imap.service
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# ENS_ACCESS='+127.0.0.1|255.255.255.255' and other variables of enpd.
EnvironmentFile=-{base}config/ens.env
ExecStart={start} --exec ens
# A program that was replaced takes over; otherwise the certificates are read again.
ExecReload={start} upgrade ens --or-refresh
{WAITS}
ExecStop=-{stop} ens
{hardening}
[Install]
WantedBy=multi-user.target
"
    )
}

fn imap(installation: &Installation) -> String {
    let [start, stop] = ["start-msg", "stop-msg"].map(|it| installation.program(it));
    let base = installation.path("");
    let hardening = hardening(installation);
    format!(
        "\
[Unit]
Description=Ensign's IMAP and LMTP server
After=network-online.target ensign-ens.service
Wants=network-online.target ensign-ens.service

[Service]
Type=notify
# ENS_ACCESS, if the broker is within the server (ens.embedded).
EnvironmentFile=-{base}config/ens.env
ExecStart={start} --exec imap
# A program that was replaced takes over; otherwise the configuration is read again.
ExecReload={start} upgrade --or-refresh
{WAITS}
ExecStop=-{stop} imap
TimeoutStopSec=90
{hardening}
[Install]
WantedBy=multi-user.target
"
    )
}

/// Connections wait while the service starts again. The address is that of the configuration when
/// this is written; a port that is off there has a unit that listens nowhere, and says so.
fn socket(
    installation: &Installation,
    name: &str,
    protocol: &str,
    option: &str,
    address: Option<SocketAddr>,
) -> String {
    let base = installation.path("");
    let listen = match address {
        Some(address) => format!("ListenStream={address}"),
        None => format!("# {option} is 0: nothing listens."),
    };
    format!(
        "\
[Unit]
Description=Ensign's port of {protocol}
# The address is that of {base}config when this was written. After a change there install again, or
# give this unit another by systemctl edit, with an empty ListenStream= before it.

[Socket]
{listen}
FileDescriptorName={name}
Service=ensign-imap.service
Backlog=4096

[Install]
WantedBy=sockets.target
"
    )
}

impl Installation {
    /// A path below the base, or the base with a slash, where a unit takes the rest of the line.
    fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.base.replace('%', "%%"))
    }

    /// A path where a unit takes several words.
    fn word(&self, below: &str) -> String {
        let path = self.path(below).replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{path}\"")
    }

    /// A program of `sbin/` where a unit takes a command line.
    fn program(&self, name: &str) -> String {
        self.word(&format!("sbin/{name}")).replace('$', "$$")
    }
}

fn hardening(installation: &Installation) -> String {
    let [data, log, run, config] =
        ["data", "log", "run", "config"].map(|folder| installation.word(folder));
    let user = installation.config.value("service.user");
    format!(
        "\
User={user}
UMask=0077
AmbientCapabilities=CAP_NET_BIND_SERVICE
Restart=on-failure
LimitNOFILE=1048576
LimitMEMLOCK=infinity
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
ProtectSystem=strict
ReadWritePaths={data} {log} {run} {config}
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @io-event @aio
# What the services give up their rights by; a group of these is known to newer systemd only.
SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
# A call that is not listed fails; nobody is killed for it.
SystemCallErrorNumber=EPERM
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units_in(name: &str, options: &str) -> (String, Vec<(String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join(name);
        fs::create_dir_all(prefix.join("config")).unwrap();
        let base = admin::Base::new(&prefix);
        fs::write(base.msg_conf(), options).unwrap();
        let folder = folder.path().join("units");
        write(&folder, &prefix, Config::load(&base).unwrap()).unwrap();
        let read = |unit: &Unit| {
            let text = fs::read_to_string(folder.join(unit.name)).unwrap();
            (unit.name.to_owned(), text)
        };
        let base = prefix.to_str().unwrap().to_owned();
        (base, UNITS.iter().map(read).collect())
    }

    #[test]
    fn sockets_listen_where_the_options_say() {
        let (_, units) = units_in("ensign", "service.imap.port = 1143\n");
        let listen = |name: &str| {
            let (_, text) = units.iter().find(|(unit, _)| unit == name).unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("ListenStream="));
            line.map(str::to_owned)
        };
        assert_eq!(
            listen("ensign-lmtp.socket").as_deref(),
            Some("127.0.0.1:24")
        );
        let config = Config::default();
        let address = config.value("service.listenaddr");
        let expected = |port| Some(format!("{address}:{port}"));
        assert_eq!(listen("ensign-imap.socket"), expected(1143));
        assert_eq!(listen("ensign-imaps.socket"), expected(993));
        let (_, units) = units_in("ensign", "service.lmtp.port = 0\n");
        assert!(
            units[4].1.contains("# service.lmtp.port is 0"),
            "{}",
            units[4].1
        );
    }

    /// Where systemd is installed, it finds nothing to complain of.
    #[test]
    fn systemd_takes_them() {
        if !crate::shell::found("systemd-analyze") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("a b");
        let program = prefix.join("sbin/start-msg");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy("/bin/true", &program).unwrap();
        let units = folder.path().join("units");
        let options = "service.user = root\n";
        fs::create_dir_all(prefix.join("config")).unwrap();
        let base = admin::Base::new(&prefix);
        fs::write(base.msg_conf(), options).unwrap();
        write(&units, &prefix, Config::load(&base).unwrap()).unwrap();
        let mut verify = std::process::Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--recursive-errors=no"]);
        let verify = verify.args(UNITS.iter().map(|unit| units.join(unit.name)));
        let said = verify.output().unwrap();
        let complaints = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{complaints}");
        let names_one = |line: &&str| UNITS.iter().any(|unit| line.contains(unit.name));
        assert_eq!(
            complaints.lines().filter(names_one).count(),
            0,
            "{complaints}"
        );
    }

    /// systemd's own lists lacked them for long, and killed the services by which they were called.
    #[test]
    fn services_may_give_up_their_rights() {
        let (_, units) = units_in("ensign", "");
        for (name, text) in units.iter().filter(|(name, _)| name.ends_with(".service")) {
            let filters: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("SystemCallFilter="))
                .flat_map(|list| list.split(' '))
                .collect();
            for call in [
                "landlock_create_ruleset",
                "landlock_restrict_self",
                "seccomp",
            ] {
                assert!(filters.contains(&call), "{name} lacks {call}");
            }
            assert!(text.contains("\nSystemCallErrorNumber=EPERM\n"), "{name}");
        }
    }

    #[test]
    fn a_process_that_took_over_is_given_time_to_end() {
        let (base, units) = units_in("ensign", "");
        for (unit, service) in units.iter().zip(["ens", "imap"]) {
            let stop = format!("\nExecStop=-\"{base}/sbin/stop-msg\" {service}\n");
            assert!(unit.1.contains(&stop), "{}", unit.1);
        }
    }

    #[test]
    fn a_base_with_blanks_is_one_word() {
        let (base, units) = units_in("a b%c", "");
        let imap = &units[1].1;
        let inside = base.replace('%', "%%");
        assert!(imap.contains(&format!(
            "ExecStart=\"{inside}/sbin/start-msg\" --exec imap\n"
        )));
        assert!(imap.contains(&format!(
            "ReadWritePaths=\"{inside}/data\" \"{inside}/log\""
        )));
        assert!(imap.contains(&format!("EnvironmentFile=-{inside}/config/ens.env\n")));
    }
}
