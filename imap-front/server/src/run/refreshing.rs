//! What a running server takes again: options, certificates, keys of tokens, users.

use std::sync::atomic::Ordering;

use admin::Config;

use super::Server;
use crate::lmtp;

impl Server {
    /// Reads again what may be changed while the server runs: the users, and the options that
    /// `configutil -m` lists. Gives what could not be taken, a line each.
    pub fn refresh(&mut self, config: &Config) -> Vec<String> {
        let users = self.refresh_users();
        self.lmtp.refresh(lmtp::Settings::from_config(config));
        let certificates = self.refresh_certificates().err();
        let tokens = self.refresh_tokens();
        let door = self.refresh_door();
        tracing::info!(event = %"admin", result = %"refresh", "the configuration was read again");
        [users, certificates, tokens, door]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Handshakes from now on use what config/tls/ holds; sessions stay.
    fn refresh_certificates(&mut self) -> Result<(), String> {
        let had = self.certificates.offered().load(Ordering::Relaxed);
        let refused = match self.certificates.reload() {
            Ok(0) => return Ok(()),
            Ok(_) if had || self.has_imaps => None,
            Ok(_) => Some(
                "service.imap.sslport could not be taken when the server started, so the first \
                 certificate brings STARTTLS only; restart the server"
                    .to_owned(),
            ),
            Err(error) => Some(format!("{error}; those known before are kept")),
        };
        match refused {
            None => tracing::info!(
                event = %"admin",
                result = %"certificates",
                "the certificates were read again"
            ),
            Some(why) => {
                tracing::error!("{why}");
                return Err(why);
            }
        }
        Ok(())
    }

    /// Tokens from now on are checked by what oauth.keys holds; sessions stay.
    fn refresh_tokens(&self) -> Option<String> {
        let tokens = self.tokens.as_ref()?;
        match tokens.reload() {
            Ok(()) => {
                let count = tokens.count();
                tracing::info!(
                    event = %"admin",
                    result = %"tokens",
                    "the {count} keys of tokens were read again"
                );
                None
            }
            Err(error) => {
                let why = format!("{error}; those known before are kept");
                tracing::error!("{why}");
                Some(why)
            }
        }
    }

    /// Tells TLS the time and the log which certificates end soon. To be called once a second.
    pub fn look_at_certificates(&mut self) {
        self.certificates.look();
    }

    /// Offers SCRAM, or no longer, as what is known of the users has changed.
    pub fn look_at_scram(&mut self) {
        self.scram.look(&self.users, &self.authenticator);
    }

    /// Reads the user directory again if it has changed. Sessions of users who were deleted or have
    /// another password end. Gives why, if it can't be read. While a handover is under way that is
    /// left to whoever goes on.
    pub fn refresh_users(&mut self) -> Option<String> {
        let looks = self.looks.clone();
        looks.look(|| self.look_at_users()).flatten()
    }

    fn look_at_users(&mut self) -> Option<String> {
        let mut refused = None;
        match self.users.reload_if_changed() {
            Ok(true) => tracing::info!(
                event = %"admin",
                result = %"users",
                "the user directory was read again"
            ),
            Ok(false) => {}
            Err(error) => {
                refused = Some(format!("{error}; the users known before are kept"));
                self.users_failures.say(|more| {
                    tracing::error!("{error}; the users known before are kept{more}");
                });
            }
        }
        let revoked = match self.users.revoked_since(&mut self.edition) {
            Ok(revoked) if revoked.is_empty() => return refused,
            Ok(revoked) => revoked,
            Err(error) => {
                tracing::error!("{error}; whose sessions must end is not known");
                return refused.or_else(|| Some(error.to_string()));
            }
        };
        tracing::info!(
            event = %"admin",
            result = %"revoked",
            "{} users were deleted, renamed or locked, or have another password",
            revoked.len()
        );
        let ids = revoked.iter().map(|account| self.store.user(account));
        self.revocations.add(ids.filter_map(|id| id.ok().flatten()));
        self.handle.review();
        refused
    }
}
