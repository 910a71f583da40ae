//! The files by which servers and broker know each other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nats::Credentials;
use rustls::ClientConfig;

use crate::client;

/// Bits of a mode by which those who are neither a file's owner nor of its group may do something.
const OTHERS: u32 = 0o007;

/// By which options a file is named.
#[derive(Clone, Copy)]
struct Named {
    what: &'static str,
    option: &'static str,
    flag: &'static str,
}

const CREDENTIALS: Named = Named {
    what: "the credentials",
    option: "ens.nats.credentials",
    flag: "--nats-credentials",
};
const AUTHORITIES: Named = Named {
    what: "the servers' authorities",
    option: "ens.nats.ca",
    flag: "--nats-ca",
};
const CERTIFICATE: Named = Named {
    what: "the broker's certificate",
    option: "ens.nats.certificate",
    flag: "--nats-certificate",
};

impl Named {
    /// What is wrong with it.
    fn said(self, path: &Path, why: &str) -> String {
        let Self { what, option, flag } = self;
        format!("{what} {} ({option}, or {flag}): {why}", path.display())
    }

    fn failed(self, path: &Path, error: &io::Error) -> String {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "; the service's user must read it",
            _ => "",
        };
        self.said(path, &format!("{error}{advice}"))
    }

    /// The file's text. What is secret and everybody can read is warned of.
    fn secret(self, path: &Path, warnings: &mut Vec<String>) -> Result<String, String> {
        let read = || {
            let mut file = File::open(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok((text, file.metadata()?.mode() & 0o7777))
        };
        let (text, mode) = read().map_err(|error| self.failed(path, &error))?;
        if mode & OTHERS != 0 {
            let shown = path.display();
            let why = format!("others can read or write it (mode {mode:o}); chmod o= {shown}");
            warnings.push(self.said(path, &why));
        }
        Ok(text)
    }
}

/// An nkey's seed, or a password.
pub(super) fn credentials(path: &Path, warnings: &mut Vec<String>) -> Result<Credentials, String> {
    let text = CREDENTIALS.secret(path, warnings)?;
    Credentials::read(&text).map_err(|why| CREDENTIALS.said(path, &why))
}

/// What TLS is spoken with, unless that goes without saying.
pub(super) fn tls(
    ca: Option<&Path>,
    certificate: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<Option<ClientConfig>, String> {
    let shown = match certificate {
        None => None,
        Some(path) => {
            let text = CERTIFICATE.secret(path, warnings)?;
            Some((path, text))
        }
    };
    let roots = match ca {
        Some(path) => client::roots_of(path).map_err(|error| AUTHORITIES.failed(path, &error))?,
        None if shown.is_none() => return Ok(None),
        None => client::roots_of_system().map_err(|error| error.to_string())?,
    };
    let config = match shown {
        None => client::trusting(roots).map_err(|error| error.to_string()),
        Some((path, text)) => client::trusting_and_showing(roots, text.as_bytes())
            .map_err(|error| CERTIFICATE.said(path, &error.to_string())),
    };
    config.map(Some)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_that_others_can_read_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        fs::write(&path, "a:b\n").unwrap();
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let mut warnings = vec![];
            credentials(&path, &mut warnings).unwrap();
            let text = format!("(mode {mode:o}); chmod o= {}", path.display());
            let ends = |said: &String| said.ends_with(&text);
            assert_eq!(
                (warnings.len() == 1, warnings.iter().all(ends)),
                (warned, true)
            );
        }
        fs::remove_file(&path).unwrap();
        let why = credentials(&path, &mut vec![]).unwrap_err();
        assert!(why.contains("ens.nats.credentials") && why.contains("No such file"));
    }

    #[test]
    fn a_certificate_has_its_own_key_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = || rcgen::generate_simple_self_signed(vec!["broker".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let path = folder.path().join("broker.pem");
        let wrong = |text: String| {
            fs::write(&path, text).unwrap();
            tls(None, Some(&path), &mut vec![]).err()
        };
        let (pem, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        assert_eq!(wrong(format!("{key}{pem}")), None);
        let no_key = wrong(pem.clone()).unwrap();
        assert!(no_key.contains("(ens.nats.certificate,") && no_key.contains("BEGIN PRIVATE KEY"));
        assert!(wrong(key).unwrap().contains("BEGIN CERTIFICATE"));
        let others = wrong(pem + &other.signing_key.serialize_pem()).unwrap();
        assert!(
            others.contains("not that of its first certificate"),
            "{others}"
        );
    }
}
