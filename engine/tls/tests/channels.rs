//! What a handshake leaves besides keys: the exporter, as the client's rustls derives it, and the
//! client's certificate.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::Arc;

use rcgen::string::{BmpString, Ia5String};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, ClientConnection};
use support::{NOW, client, client_config, config, give};
use tls::{
    CertificateFault, Channel, Clients, Config, Established, Failure, Handshake, HandshakeError,
    NameFault, NamedBy, Options,
};

const EMAIL: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

fn shake(
    config: &Config,
    client: &mut ClientConnection,
    asks: bool,
) -> Result<Established, HandshakeError> {
    let mut handshake = Handshake::with(config, asks)?;
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut output = Vec::new();
        let step = handshake.handle_input(&flight, &mut output);
        give(client, &output);
        if let Some(established) = step? {
            return Ok(established);
        }
    }
    panic!("the handshake has no end");
}

#[test]
fn both_ends_know_the_channel_by_the_same_bytes_and_no_other_has_them() {
    let config = config(Options::default());
    let mut seen = Vec::new();
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let client_config = Arc::new(client_config(Some(suite), &[&TLS13]));
        // The second one is resumed.
        for _ in 0..2 {
            let mut client = client(&client_config, "localhost");
            let Channel { binding, .. } = shake(&config, &mut client, false).unwrap().channel;
            let label = b"EXPORTER-Channel-Binding";
            let mut theirs = [0; 32];
            for context in [None, Some(&b""[..])] {
                client
                    .export_keying_material(&mut theirs, label, context)
                    .unwrap();
                assert_eq!(binding.as_deref(), Some(&theirs), "{suite:?}");
            }
            assert!(!seen.contains(&theirs));
            seen.push(theirs);
        }
    }
    let mut client = client(&Arc::new(client_config(None, &[&TLS12])), "localhost");
    let channel = shake(&config, &mut client, false).unwrap().channel;
    assert!(channel.binding.is_none());
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn clients(&self, required: bool) -> Clients {
        Clients::from_pem(self.pem.as_bytes(), required).unwrap()
    }

    /// A client's configuration with a certificate of this authority.
    fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ClientConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = aws_lc_rs::default_provider();
        let pair = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider);
        let mut config = client_config(None, &[&TLS13, &TLS12]);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair.unwrap()));
        Arc::new(config)
    }
}

fn asking(clients: Clients) -> Config {
    let config = config(Options::default());
    let identity = support::identity(&["localhost"]);
    config.reload_with(&[identity], Some(clients)).unwrap();
    config
}

fn mail(name: &str) -> SanType {
    SanType::Rfc822Name(Ia5String::try_from(name).unwrap())
}

fn channel(config: &Config, client_config: &Arc<ClientConfig>) -> Result<Channel, HandshakeError> {
    let mut client = client(client_config, "localhost");
    shake(config, &mut client, true).map(|it| it.channel)
}

#[test]
fn a_certificate_names_its_client_as_it_is_asked() {
    let authority = Authority::new();
    let config = asking(authority.clients(false));
    let named = |change: &dyn Fn(&mut CertificateParams)| {
        let channel = channel(&config, &authority.client(change)).unwrap();
        let name = |by| channel.name(by).map(|name| name.map(String::from));
        (name(NamedBy::Email), name(NamedBy::CommonName))
    };
    let own = |text: &str| Ok(Some(text.to_owned()));
    let all = named(&|params| {
        let names = [mail("fred@example.org"), mail("other@example.org")];
        params.subject_alt_names = names.to_vec();
        params.distinguished_name.push(DnType::CommonName, "Fred");
    });
    assert_eq!(all, (own("fred@example.org"), own("Fred")));
    let of_old = named(&|params| {
        let text = Ia5String::try_from("old@example.org").unwrap();
        let kind = DnType::CustomDnType(EMAIL.to_vec());
        params
            .distinguished_name
            .push(kind, DnValue::Ia5String(text));
        params.distinguished_name.remove(DnType::CommonName);
    });
    assert_eq!(of_old, (own("old@example.org"), Ok(None)));
    let nul = named(&|params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "root\0x")
    });
    assert_eq!(nul, (Ok(None), Err(NameFault::Control)));
    let long = named(&|params| {
        let name = "x".repeat(257);
        params.distinguished_name.push(DnType::CommonName, name);
    });
    assert_eq!(long, (Ok(None), Err(NameFault::Length)));
    let empty = named(&|params| params.distinguished_name.push(DnType::CommonName, ""));
    assert_eq!(empty, (Ok(None), Err(NameFault::Length)));
    let line = named(&|params| params.subject_alt_names = vec![mail("a@b.c\r\nx")]);
    assert_eq!(line.0, Err(NameFault::Control));
    // A second name of the same kind, by its number.
    let common_name = || DnType::CustomDnType(vec![2, 5, 4, 3]);
    let two = named(&|params| {
        params.distinguished_name.push(DnType::CommonName, "fred");
        params.distinguished_name.push(common_name(), "mary");
    });
    assert_eq!(two, (Ok(None), Err(NameFault::Several)));
    let no_text = named(&|params| {
        let name = BmpString::try_from("fred").unwrap();
        let name = DnValue::BmpString(name);
        params.distinguished_name.push(DnType::CommonName, name);
    });
    assert_eq!(no_text, (Ok(None), Err(NameFault::NoText)));
    // Of alternative names that are broken none is passed over for the next one, or the subject's.
    for broken in [
        &b"0\x0a\x81\x03\xff@b\x81\x03a@b"[..],
        b"0\x05\x81\x03\xff@b",
    ] {
        let (mail, _) = named(&|params| {
            let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], broken.to_vec());
            params.custom_extensions.push(names);
            let kind = DnType::CustomDnType(EMAIL.to_vec());
            params.distinguished_name.push(kind, "old@example.org");
        });
        assert_eq!(mail, Err(NameFault::NoText));
    }
}

#[test]
fn who_has_no_good_certificate_has_none_or_is_not_let_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let named = |params: &mut CertificateParams| params.subject_alt_names = vec![mail("a@b.c")];
    let stranger = other.client(named);
    let ended = authority.client(|params| {
        named(params);
        params.not_after = rcgen::date_time_ymd(2023, 1, 1);
    });
    let server = authority.client(|params| {
        named(params);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let none = Arc::new(client_config(None, &[&TLS13, &TLS12]));
    for required in [false, true] {
        let config = asking(authority.clients(required));
        for bad in [&stranger, &ended, &server] {
            assert!(channel(&config, bad).is_err());
        }
        let without = channel(&config, &none);
        assert_eq!(without.is_err(), required);
        assert!(without.is_err() || without.unwrap().certificate.is_none());
        let good = authority.client(named);
        assert!(channel(&config, &good).unwrap().certificate.is_some());
        // Whoever isn't asked shows none.
        let mut client = client(&good, "localhost");
        let unasked = shake(&config, &mut client, false).unwrap();
        assert!(unasked.channel.certificate.is_none());
    }
    assert!(Clients::from_pem(b"nonsense", false).is_err());
}

#[test]
fn why_a_handshake_has_failed_is_said_in_words() {
    let (authority, other) = (Authority::new(), Authority::new());
    let config = asking(authority.clients(true));
    let why = |client_config: &Arc<ClientConfig>| {
        Failure::from(&channel(&config, client_config).unwrap_err())
    };
    let stranger = other.client(|_| {});
    let fault = CertificateFault::Stranger;
    assert_eq!(why(&stranger), Failure::Certificate(fault));
    let ended = authority.client(|params| params.not_after = rcgen::date_time_ymd(2023, 1, 1));
    assert_eq!(why(&ended), Failure::Certificate(CertificateFault::Ended));
    let none = Arc::new(client_config(None, &[&TLS13, &TLS12]));
    assert_eq!(why(&none), Failure::NoCertificate);
    for (bytes, failure) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Failure::NoTls),
        (b"\x16\x03\x01\x00\x04\x14\x00\x00\x00", Failure::Unexpected),
        (
            b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
            Failure::Malformed,
        ),
        (b"\x15\x03\x01\x00\x02\x02\x30", Failure::Alert(48)),
        (b"\x15\x03\x01\x00\x02\x01\x00", Failure::Closed),
    ] {
        let mut handshake = Handshake::new(&config).unwrap();
        let error = handshake.handle_input(bytes, &mut Vec::new()).unwrap_err();
        assert_eq!(Failure::from(&error), failure, "{error}");
    }
}

/// A ticket would carry a certificate on when its authority is gone.
#[test]
fn nobody_resumes_who_was_asked_and_other_authorities_hold_at_once() {
    let (old, new) = (Authority::new(), Authority::new());
    let named = |params: &mut CertificateParams| params.subject_alt_names = vec![mail("a@b.c")];
    for version in [&TLS12, &TLS13] {
        let config = asking(old.clients(false));
        let mut client_config = Arc::unwrap_or_clone(old.client(named));
        let mut plain = support::client_config(None, &[version]);
        plain.client_auth_cert_resolver = client_config.client_auth_cert_resolver.clone();
        client_config = plain;
        let client_config = Arc::new(client_config);
        for _ in 0..3 {
            let mut client = client(&client_config, "localhost");
            let established = shake(&config, &mut client, true).unwrap();
            assert!(!established.resumed);
            assert!(
                established.channel.certificate.is_some(),
                "and it is shown each time"
            );
        }
        // A ticket from where nobody asks is of no use where somebody does.
        let mut first = client(&client_config, "localhost");
        let mut established = shake(&config, &mut first, false).unwrap();
        let mut output = Vec::new();
        established.records.seal(b"* OK\r\n", &mut output).unwrap();
        give(&mut first, &output);
        let mut second = client(&client_config, "localhost");
        let established = shake(&config, &mut second, true).unwrap();
        assert!(!established.resumed && established.channel.certificate.is_some());
        let identity = support::identity(&["localhost"]);
        config
            .reload_with(&[identity], Some(new.clients(false)))
            .unwrap();
        assert!(channel(&config, &client_config).is_err());
        config.set_time(NOW + 1);
        let identity = support::identity(&["localhost"]);
        config.reload_with(&[identity], None).unwrap();
        assert!(
            channel(&config, &client_config)
                .unwrap()
                .certificate
                .is_none()
        );
    }
}
