//! What a client logs in by.

/// A name, and what shows that the client is who it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Authentication identity.
    pub user: Box<str>,
    /// The identity to act as, if another.
    pub authorization: Option<Box<str>>,
    /// What shows it.
    pub evidence: Evidence,
}

/// What shows that a client is who it says.
#[derive(Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The password, as LOGIN or AUTHENTICATE gave it.
    Password(Box<[u8]>),
    /// A bearer token (RFC 6750), which says who the client is: the name beside it is empty.
    Token(Box<[u8]>),
    /// A certificate that was verified in the TLS handshake: the name is from it.
    Certificate,
    /// A certificate that was verified and names nobody, and why: the name beside it is empty.
    Nameless(&'static str),
    /// SCRAM's proof that the client knows it (RFC 5802 §3).
    Proof {
        /// All that was said before the proof, which it is made of.
        auth_message: Box<str>,
        /// `ClientProof`; of any length, as a client may send anything.
        proof: Box<[u8]>,
    },
}

impl Credentials {
    /// What they take in memory besides themselves, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let evidence = match &self.evidence {
            Evidence::Password(secret) | Evidence::Token(secret) => secret.len(),
            Evidence::Certificate | Evidence::Nameless(_) => 0,
            Evidence::Proof {
                auth_message,
                proof,
            } => auth_message.len() + proof.len(),
        };
        let authorization = self.authorization.as_ref().map_or(0, |name| name.len());
        self.user.len() + authorization + evidence
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
