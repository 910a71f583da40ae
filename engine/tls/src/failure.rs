//! Why a TLS connection failed, for logs: in words that are this crate's, whatever the peer sent.

use std::fmt;

use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::handshake::HandshakeError;

/// Why a connection failed, in its handshake or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The first byte is not of a record, as of a client that speaks in plain text.
    NoTls,
    /// Its time was over, and nothing had come.
    Silent,
    /// Its time was over.
    Slow,
    /// The client has closed it in good order.
    Closed,
    /// The client has sent this alert, by its number.
    Alert(u8),
    /// There is none of these in common.
    NoneInCommon(Offer),
    /// A client's certificate is needed, and none came.
    NoCertificate,
    /// The client's certificate is not taken.
    Certificate(CertificateFault),
    /// A message or record can't be read.
    Malformed,
    /// A record can't be decrypted.
    Undecryptable,
    /// A message came that may not come at that point.
    Unexpected,
    /// More came than a handshake needs.
    TooLong,
    /// The client broke another rule of the protocol.
    Misbehaved,
    /// The server has no certificate to show.
    NoIdentity,
    /// The server could not go on.
    Ours,
    /// What the record layer found wrong.
    Record(&'static str),
}

/// What both ends must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The version.
    Version,
    /// The cipher suite.
    Suite,
    /// The group of the key exchange.
    Group,
    /// The signature algorithm.
    Signature,
    /// The application's protocol (RFC 7301).
    Protocol,
}

/// What is wrong with a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has ended.
    Ended,
    /// Its time has not come.
    Early,
    /// None of the authorities has signed it.
    Stranger,
    /// It is not for clients.
    Purpose,
    /// Something else.
    Other,
}

impl From<&HandshakeError> for Failure {
    fn from(error: &HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(error) => of_rustls(error),
            HandshakeError::Closed => Self::Closed,
            HandshakeError::NoIdentity => Self::NoIdentity,
            HandshakeError::TooLong => Self::TooLong,
            HandshakeError::Over | HandshakeError::NoKeys => Self::Ours,
        }
    }
}

fn of_rustls(error: &Error) -> Failure {
    match error {
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Failure::NoTls,
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Failure::Malformed,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Failure::Unexpected
        }
        Error::DecryptError => Failure::Undecryptable,
        Error::AlertReceived(alert) => Failure::Alert((*alert).into()),
        Error::PeerIncompatible(what) => incompatible(what),
        Error::NoApplicationProtocol => Failure::NoneInCommon(Offer::Protocol),
        Error::NoCertificatesPresented => Failure::NoCertificate,
        Error::InvalidCertificate(fault) => Failure::Certificate(certificate(fault)),
        Error::PeerMisbehaved(_) => Failure::Misbehaved,
        _ => Failure::Ours,
    }
}

fn incompatible(what: &PeerIncompatible) -> Failure {
    use PeerIncompatible as P;
    Failure::NoneInCommon(match what {
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        // Clients of TLS 1.1 and older have none of this, and are missed for it first.
        | P::SignatureAlgorithmsExtensionRequired
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled => Offer::Version,
        P::NoCipherSuitesInCommon => Offer::Suite,
        P::NoKxGroupsInCommon
        | P::NamedGroupsExtensionRequired
        | P::KeyShareExtensionRequired
        | P::EcPointsExtensionRequired
        | P::NoEcPointFormatsInCommon
        | P::UncompressedEcPointsRequired => Offer::Group,
        P::NoSignatureSchemesInCommon | P::NoCertificateRequestSignatureSchemesInCommon => {
            Offer::Signature
        }
        _ => return Failure::Misbehaved,
    })
}

fn certificate(fault: &CertificateError) -> CertificateFault {
    use CertificateError as E;
    match fault {
        E::Expired | E::ExpiredContext { .. } => CertificateFault::Ended,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateFault::Early,
        // One may have the name of an authority, and not its key.
        E::UnknownIssuer | E::BadSignature => CertificateFault::Stranger,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => CertificateFault::Purpose,
        _ => CertificateFault::Other,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTls => "what came is no TLS",
            Self::Silent => "nothing came in time",
            Self::Slow => "the handshake took too long",
            Self::Closed => "the client closed before the handshake's end",
            Self::Alert(number) => {
                return match alert(*number) {
                    Some(name) => write!(f, "the client sent the alert {name}"),
                    None => write!(f, "the client sent alert {number}"),
                };
            }
            Self::NoneInCommon(offer) => match offer {
                Offer::Version => "no version of TLS in common",
                Offer::Suite => "no cipher suite in common",
                Offer::Group => "no group for the key exchange in common",
                Offer::Signature => "no signature algorithm in common",
                Offer::Protocol => "no application protocol in common",
            },
            Self::NoCertificate => "the client showed no certificate, and one is required",
            Self::Certificate(fault) => match fault {
                CertificateFault::Ended => "the client's certificate has ended",
                CertificateFault::Early => "the client's certificate is not valid yet",
                CertificateFault::Stranger => "the client's certificate is by no known authority",
                CertificateFault::Purpose => "the client's certificate is not for clients",
                CertificateFault::Other => "the client's certificate is not valid",
            },
            Self::Malformed => "the client sent what can't be read",
            Self::Undecryptable => "the client sent a record that can't be decrypted",
            Self::Unexpected => "the client sent a message that may not come there",
            Self::TooLong => "the client sent more than a handshake needs",
            Self::Misbehaved => "the client broke a rule of the protocol",
            Self::NoIdentity => "the server has no certificate",
            Self::Ours => "the server could not go on",
            Self::Record(why) => why,
        })
    }
}

/// An alert's name in the registry (RFC 8446 §6, RFC 9849 for the last).
fn alert(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, PeerMisbehaved};

    use super::*;

    #[test]
    fn each_kind_has_its_words() {
        let told = |error: Error| Failure::from(&HandshakeError::Tls(error)).to_string();
        let all = [
            (
                Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
                "no version of TLS in common",
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "the client sent the alert unknown_ca",
            ),
            (
                Error::AlertReceived(AlertDescription::Unknown(200)),
                "the client sent alert 200",
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "the client's certificate is by no known authority",
            ),
            (
                Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare),
                "the client broke a rule of the protocol",
            ),
            (
                Error::General("anything".into()),
                "the server could not go on",
            ),
        ];
        for (error, words) in all {
            assert_eq!(told(error), words);
        }
        let closed = Failure::from(&HandshakeError::Closed).to_string();
        assert_eq!(closed, "the client closed before the handshake's end");
    }
}
