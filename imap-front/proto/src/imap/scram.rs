//! What is said in SCRAM-SHA-256 (RFC 5802 §5 and §7, RFC 7677), from the server's side. Keys and
//! nonces are the host's: the client's proof goes to whoever has the user's verifier.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail::reply::Challenge;
use mail::request::Evidence;

/// Longest first message of a client, in bytes: it is kept until the last.
const FIRST_BYTES_MAX: usize = 2048;
/// Longest nonce of a client, in bytes.
const NONCE_BYTES_MAX: usize = 256;

/// What a client began with (`client-first-message`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    /// `gs2-header`, as it came.
    header: Box<str>,
    /// `client-first-message-bare`, as it came.
    bare: Box<str>,
    /// What it says of channel binding.
    pub binding: Binding,
    /// Who it says to be.
    pub user: Box<str>,
    /// As whom it wants to act, if as another.
    pub authorization: Option<Box<str>>,
    nonce: Box<str>,
}

/// `gs2-cbind-flag` (RFC 5802 §6).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// `n`: the client has none.
    None,
    /// `y`: it has, and believes that the server has not.
    Unused,
    /// `p=`: it binds to the channel, in this way.
    Of(Box<str>),
}

/// An exchange in which the client's last message is awaited.
#[derive(Debug)]
pub(super) struct Challenged {
    first: ClientFirst,
    server_first: String,
    nonce: String,
}

impl Challenged {
    /// Bytes that it keeps.
    pub fn held_bytes(&self) -> usize {
        self.first.held_bytes() + self.server_first.capacity() + self.nonce.capacity()
    }
}

impl ClientFirst {
    /// Bytes that it keeps.
    pub fn held_bytes(&self) -> usize {
        let authorization = self.authorization.as_ref().map_or(0, |name| name.len());
        let own = [&self.header, &self.bare, &self.user, &self.nonce];
        own.map(|text| text.len()).iter().sum::<usize>() + authorization + size_of::<Self>()
    }

    /// ```text
    /// client-first-message = gs2-cbind-flag "," ["a=" saslname] ","
    ///                        "n=" saslname "," "r=" c-nonce ["," extensions]
    /// ```
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(message: &[u8]) -> Result<Self, &'static str> {
        if message.len() > FIRST_BYTES_MAX {
            return Err("a shorter message");
        }
        let text = std::str::from_utf8(message).map_err(|_| "UTF-8")?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authorization), Some(bare)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err("a GS2 header");
        };
        let binding = match flag {
            "n" => Binding::None,
            "y" => Binding::Unused,
            _ => Binding::Of(flag.strip_prefix("p=").ok_or("n, y or p=")?.into()),
        };
        let authorization = match authorization {
            "" => None,
            text => Some(name(text.strip_prefix("a=").ok_or("a=")?)?),
        };
        let mut parts = bare.split(',');
        let mut part = |prefix: &str| parts.next().and_then(|it| it.strip_prefix(prefix));
        let user = name(part("n=").ok_or("n=")?)?;
        let nonce = part("r=").ok_or("r=")?;
        if bare.split(',').any(is_mandatory) {
            return Err("no extension that must be understood");
        }
        let is_nonce = (1..=NONCE_BYTES_MAX).contains(&nonce.len())
            && nonce.bytes().all(|b| b.is_ascii_graphic());
        if !is_nonce {
            return Err("a nonce");
        }
        Ok(Self {
            header: text[..text.len() - bare.len()].into(),
            bare: bare.into(),
            binding,
            user,
            authorization,
            nonce: nonce.into(),
        })
    }

    /// Goes on with what the user's verifier and chance have given.
    pub fn challenge(self, challenge: &Challenge) -> Challenged {
        let nonce = format!("{}{}", self.nonce, challenge.nonce);
        let salt = BASE64.encode(&challenge.salt);
        let server_first = format!("r={nonce},s={salt},i={}", challenge.iterations);
        Challenged {
            first: self,
            server_first,
            nonce,
        }
    }
}

impl Challenged {
    /// `server-first-message`.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Whether the client's last message is bound to the channel.
    pub fn is_bound(&self) -> bool {
        matches!(self.first.binding, Binding::Of(_))
    }

    /// Who it says to be, and as whom it wants to act.
    pub fn into_names(self) -> (Box<str>, Option<Box<str>>) {
        (self.first.user, self.first.authorization)
    }

    /// ```text
    /// client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
    /// ```
    ///
    /// `channel` is what the connection's channel is known by, if the client binds to it. Of a
    /// message that repeats another header, channel or nonce the proof is taken away: so it is
    /// refused, delayed and logged as any wrong one.
    ///
    /// # Errors
    /// What was expected.
    pub fn evidence(&self, message: &[u8], channel: &[u8]) -> Result<Evidence, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "UTF-8")?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("p= at the end")?;
        let proof = BASE64.decode(proof).map_err(|_| "base64 behind p=")?;
        if without_proof.split(',').any(is_mandatory) {
            return Err("no extension that must be understood");
        }
        let mut parts = without_proof.split(',');
        let mut part = |prefix: &str| parts.next().and_then(|it| it.strip_prefix(prefix));
        let bound = BASE64.decode(part("c=").ok_or("c=")?);
        let bound = bound.map_err(|_| "base64 behind c=")?;
        let nonce = part("r=").ok_or("r=")?;
        let fits = bound == [self.first.header.as_bytes(), channel].concat() && nonce == self.nonce;
        let (bare, server_first) = (&self.first.bare, &self.server_first);
        Ok(Evidence::Proof {
            auth_message: format!("{bare},{server_first},{without_proof}").into(),
            proof: if fits { proof.into() } else { Box::default() },
        })
    }
}

/// Whether it is an extension that must be understood, wherever it stands (RFC 5802 §5.1, `m`):
/// none is.
fn is_mandatory(part: &str) -> bool {
    part.starts_with("m=")
}

/// `server-final-message`, once the proof is right.
pub(super) fn server_final(signature: &[u8]) -> String {
    format!("v={}", BASE64.encode(signature))
}

/// `saslname`: `=2C` is a comma and `=3D` an equals sign.
pub(super) fn name(text: &str) -> Result<Box<str>, &'static str> {
    let mut pieces = text.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (letter, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err("=2C or =3D"),
        };
        name.push(letter);
        name.push_str(rest);
    }
    if name.is_empty() || name.contains('\0') {
        return Err("a name");
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenged(first: &str) -> Challenged {
        ClientFirst::parse(first.as_bytes())
            .unwrap()
            .challenge(&Challenge {
                salt: b"salt"[..].into(),
                iterations: 4096,
                nonce: "two".into(),
            })
    }

    #[test]
    fn first_messages() {
        let first = ClientFirst::parse(b"n,a=b=3D=2Cc,n=a=2C=3Db,r=one,x=ignored").unwrap();
        assert_eq!(&*first.user, "a,=b");
        assert_eq!(first.authorization.as_deref(), Some("b=,c"));
        assert_eq!(first.binding, Binding::None);
        let first = ClientFirst::parse(b"y,,n=a,r=one").unwrap();
        assert_eq!(first.binding, Binding::Unused);
        let first = ClientFirst::parse(b"p=tls-exporter,,n=a,r=one").unwrap();
        assert_eq!(first.binding, Binding::Of("tls-exporter".into()));
        let long = format!("n,,n=a,r={}", "x".repeat(257));
        let longer = format!("n,,n={},r=x", "a".repeat(2048));
        let bad: [&[u8]; 18] = [
            b"",
            b"n,,",
            b"n,n=a,r=one",
            b"x,,n=a,r=one",
            b"n,b=a,n=a,r=one",
            b"n,a=,n=a,r=one",
            b"n,,n=,r=one",
            b"n,,n=a",
            b"n,,n=a,r=",
            b"n,,n=a,r=\xC3\xBC",
            b"n,,n=\xFF,r=one",
            b"n,,n=a=,r=one",
            b"n,,n=a=2c,r=one",
            b"n,,n=a\0,r=one",
            b"n,,m=must,n=a,r=one",
            b"n,,n=a,r=one,x=ignored,m=must",
            long.as_bytes(),
            longer.as_bytes(),
        ];
        for bad in bad {
            let parsed = ClientFirst::parse(bad);
            assert!(parsed.is_err(), "{}: {parsed:?}", bad.escape_ascii());
        }
    }

    #[test]
    fn last_messages() {
        let exchange = challenged("n,,n=a,r=one");
        assert_eq!(exchange.server_first(), "r=onetwo,s=c2FsdA==,i=4096");
        let proof = |message: &str, channel: &[u8]| match exchange
            .evidence(message.as_bytes(), channel)
            .unwrap()
        {
            Evidence::Proof { proof, .. } => proof,
            _ => unreachable!("SCRAM sends a proof"),
        };
        assert_eq!(&*proof("c=biws,r=onetwo,p=eHl6", b""), b"xyz");
        assert_eq!(&*proof("c=biws,r=onetwo,x=,p=,p=eHl6", b""), b"xyz");
        for other in [
            ("c=eSws,r=onetwo,p=eHl6", &b""[..]),
            ("c=biws,r=one,p=eHl6", b""),
            ("c=biws,r=onetwothree,p=eHl6", b""),
            ("c=biws,r=onetwo,p=eHl6", b"channel"),
        ] {
            assert_eq!(&*proof(other.0, other.1), b"", "{other:?}");
        }
        for bad in [
            "",
            "c=biws,r=onetwo",
            "c=biws,r=onetwo,p=?",
            "c=?,r=onetwo,p=eHl6",
            "r=onetwo,c=biws,p=eHl6",
            "c=biws,p=eHl6",
            "c=biws,r=onetwo,m=must,p=eHl6",
        ] {
            assert!(exchange.evidence(bad.as_bytes(), b"").is_err(), "{bad}");
        }
    }
}
