//! systemd's units for an installation: an alternative to start-msg and its watcher.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Where the units stand below the base directory; `systemctl link` takes them from there.
const FOLDER: &str = "lib/systemd";

/// What a service is to systemd.
struct Unit {
    name: &'static str,
    text: fn(&str) -> String,
}

const UNITS: [Unit; 4] = [
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
        text: |base| socket(base, "imap", "IMAP", 143),
    },
    Unit {
        name: "ensign-lmtp.socket",
        text: |base| socket(base, "lmtp", "LMTP", 24),
    },
];

/// Writes the units of the base directory `prefix`.
pub fn write(prefix: &Path) -> Result<()> {
    let folder = prefix.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let base = prefix.to_str().context("the base's path is no text")?;
    for unit in &UNITS {
        let path = folder.join(unit.name);
        fs::write(&path, (unit.text)(base))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn ens(base: &str) -> String {
    let hardening = hardening(base);
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
EnvironmentFile=-{base}/config/ens.env
ExecStart={base}/sbin/start-msg --exec ens
{hardening}
[Install]
WantedBy=multi-user.target
"
    )
}

fn imap(base: &str) -> String {
    let hardening = hardening(base);
    format!(
        "\
[Unit]
Description=Ensign's IMAP and LMTP server
After=network-online.target ensign-ens.service
Wants=network-online.target ensign-ens.service

[Service]
Type=notify
# ENS_ACCESS, if the broker is within the server (ens.embedded).
EnvironmentFile=-{base}/config/ens.env
ExecStart={base}/sbin/start-msg --exec imap
ExecReload=/bin/kill -HUP $MAINPID
TimeoutStopSec=90
{hardening}
[Install]
WantedBy=multi-user.target
"
    )
}

/// Connections wait while the service starts again. The addresses are these, not those of the
/// configuration.
fn socket(base: &str, name: &str, protocol: &str, port: u16) -> String {
    format!(
        "\
[Unit]
Description=Ensign's port of {protocol}; its address is set here, not in {base}/config

[Socket]
ListenStream={port}
FileDescriptorName={name}
Service=ensign-imap.service
Backlog=4096

[Install]
WantedBy=sockets.target
"
    )
}

fn hardening(base: &str) -> String {
    format!(
        "\
Restart=on-failure
LimitNOFILE=1048576
LimitMEMLOCK=infinity
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
ProtectSystem=strict
ReadWritePaths={base}/data {base}/log {base}/run {base}/config
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
"
    )
}
