//! What a running server takes again: options, certificates, keys of tokens, users.

use std::sync::atomic::Ordering;

use admin::Config;
use ens::sparing::Sparing;

use super::Server;
use crate::lmtp;

/// What becomes of the user directory if it is refused.
const KEPT: &str = "the users known before are kept";

/// What is wrong with the user directory.
#[derive(Default)]
pub(super) struct UsersTrouble {
    failures: Sparing,
    /// It is not known whom to end: what whoever has all read again is to hear.
    unrevoked: Option<String>,
}

impl Server {
    /// Reads again what may be changed while the server runs: the users, and the options that
    /// `configutil -m` lists. Gives what could not be taken, a line each.
    pub fn refresh(&mut self, config: &Config) -> Vec<String> {
        self.refresh_users();
        // What was refused before may have been told the log only.
        let users = self.users.refused();
        let users = users.map(|why| format!("{why}; {KEPT}"));
        let unrevoked = self.users_trouble.unrevoked.take();
        self.lmtp.refresh(lmtp::Settings::from_config(config));
        let certificates = self.refresh_certificates().err();
        let tokens = self.refresh_tokens();
        let door = self.refresh_door();
        tracing::info!(event = %"admin", result = %"refresh", "the configuration was read again");
        [users, unrevoked, certificates, tokens, door]
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
    /// another password end. While a handover is under way that is left to whoever goes on.
    pub fn refresh_users(&mut self) {
        let looks = self.looks.clone();
        looks.look(|| self.look_at_users());
    }

    fn look_at_users(&mut self) {
        match self.users.reload_if_changed() {
            Ok(true) => tracing::info!(
                event = %"admin",
                result = %"users",
                "the user directory was read again"
            ),
            Ok(false) => {}
            Err(error) => self.users_trouble.failures.say(|more| {
                tracing::error!("{error}; {KEPT}{more}");
            }),
        }
        let revoked = match self.users.revoked_since(&mut self.edition) {
            Ok(revoked) if revoked.is_empty() => return,
            Ok(revoked) => revoked,
            Err(error) => {
                let why = format!("{error}; whose sessions must end is not known");
                tracing::error!("{why}");
                self.users_trouble.unrevoked = Some(why);
                return;
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
    }
}
