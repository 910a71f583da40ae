//! What a base directory needs besides its programs: folders, configuration, a certificate.
//!
//! All of it may be done again: what an administrator wrote, users and mail are left alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::config::{self, ConfigError};
use crate::{Base, Config, files};

/// Folders that only their owner may enter: the server checks them when it starts.
const PRIVATE: [&str; 4] = ["config", "data", "log", "run"];

/// The administrator's own configuration, as it begins.
const MSG_CONF: &str = "\
# Options of this site, one a line: name = value. They go before those in msg.conf.defaults,
# which lists all options with what they do, and which every installation writes anew.
";

/// Why a base directory can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// A file or folder.
    #[error("can't {what} {}: {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// The configuration that is there.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The library that makes certificates.
    #[error("can't make a certificate for {host}: {cause}")]
    Certificate {
        /// Whom it was for.
        host: String,
        /// Why it failed.
        cause: rcgen::Error,
    },
}

fn failed(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> InstallationError {
    let path = path.into();
    move |cause| InstallationError::File { what, path, cause }
}

/// Makes the folders of configuration, mail, logs and what runs, closed to others.
///
/// # Errors
/// If one can't be made or closed.
pub fn make_folders(base: &Base) -> Result<(), InstallationError> {
    for name in PRIVATE {
        let folder = base.root().join(name);
        // One that is there may be open to a group on purpose; the server looks at that.
        if !folder.exists() {
            fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
            let closed = fs::set_permissions(&folder, Permissions::from_mode(0o700));
            closed.map_err(failed("close to others", &folder))?;
        }
    }
    Ok(())
}

/// Writes the defaults, which belong to the release, for services that run as `user`, and an empty
/// `msg.conf` if there is none.
///
/// # Errors
/// If a file can't be written.
pub fn write_configuration(base: &Base, user: &str) -> Result<(), InstallationError> {
    let defaults = base.msg_conf_defaults();
    config::write_defaults(&defaults, user).map_err(failed("write", defaults))?;
    let own = base.msg_conf();
    if !own.exists() {
        let written = files::replace(&own, 0o600, |to| to.write_all(MSG_CONF.as_bytes()));
        written.map_err(failed("write", own))?;
    }
    Ok(())
}

/// Makes a certificate that signs itself where there is none, so that TLS works at once. Gives what
/// an administrator should know of it.
///
/// # Errors
/// If it can't be made or written.
pub fn certify(base: &Base) -> Result<Option<String>, InstallationError> {
    let folder = base.tls();
    if folder.exists() {
        return Ok(None);
    }
    let host = Config::load(base)?.hostname();
    let [pem, key] = self_signed(&host).map_err(|cause| InstallationError::Certificate {
        host: host.clone(),
        cause,
    })?;
    fs::create_dir(&folder).map_err(failed("make", &folder))?;
    let closed = fs::set_permissions(&folder, Permissions::from_mode(0o700));
    closed.map_err(failed("close to others", &folder))?;
    for (name, text) in [("default.key", key), ("default.pem", pem)] {
        let path = folder.join(name);
        let written = files::replace(&path, 0o600, |to| to.write_all(text.as_bytes()));
        written.map_err(failed("write", path))?;
    }
    Ok(Some(format!(
        "made a self-signed certificate for {host} in {}: clients must be told to trust it; \
         put your own in its place (NAME.pem and NAME.key) and run refresh",
        folder.display()
    )))
}

/// A certificate for a host and `localhost`, and its key.
fn self_signed(host: &str) -> Result<[String; 2], rcgen::Error> {
    let mut params = rcgen::CertificateParams::new([host.to_owned(), "localhost".into()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let subject = &mut params.distinguished_name;
    subject.push(rcgen::DnType::CommonName, host);
    let key = rcgen::KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok([pem, key.serialize_pem()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_base_is_made_ready_once_and_left_alone_then() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        make_folders(&base).unwrap();
        write_configuration(&base, "ensign").unwrap();
        let said = certify(&base).unwrap().unwrap();
        assert!(said.contains("self-signed"), "{said}");
        for name in PRIVATE {
            assert_eq!(mode(&folder.path().join(name)), 0o700, "{name}");
        }
        let key = base.tls().join("default.key");
        assert_eq!(mode(&key), 0o600);
        assert!(fs::read_to_string(&key).unwrap().contains("PRIVATE KEY"));

        fs::write(base.msg_conf(), "service.imap.port = 1143\n").unwrap();
        let before = fs::read(&key).unwrap();
        fs::set_permissions(base.tls(), Permissions::from_mode(0o750)).unwrap();
        make_folders(&base).unwrap();
        write_configuration(&base, "mail").unwrap();
        assert_eq!(certify(&base).unwrap(), None);
        let config = Config::load(&base).unwrap();
        assert_eq!(config.value("service.imap.port"), "1143");
        assert_eq!(config.value("service.user"), "mail");
        assert_eq!(fs::read(&key).unwrap(), before);
        assert_eq!(mode(&base.tls()), 0o750, "its group may read");
    }
}
