//! Against rustls as the client, in one process.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CipherSuite, Error, SupportedProtocolVersion};
use support::{NOW, Pair, client, client_config, config, identity, shake};
use tls::{Alert, Config, HandshakeError, Identity, Opened, Options, TICKET_LIFETIME_S, Version};

const SUITES: [(CipherSuite, &SupportedProtocolVersion); 6] = [
    (CipherSuite::TLS13_AES_128_GCM_SHA256, &TLS13),
    (CipherSuite::TLS13_AES_256_GCM_SHA384, &TLS13),
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &TLS13),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &TLS12),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, &TLS12),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        &TLS12,
    ),
];

#[test]
fn every_suite_carries_data_both_ways() {
    let config = config(Options::default());
    let long: Vec<u8> = (0..100_000u32).map(|at| at as u8).collect();
    for (suite, version) in SUITES {
        let mut pair = Pair::new(&config, Some(suite), version);
        assert_eq!(pair.suite, suite);
        for _ in 0..3 {
            assert_eq!(pair.say(b"* 1 EXISTS\r\n"), b"* 1 EXISTS\r\n", "{suite:?}");
            pair.write(b"DONE\r\n");
            assert_eq!(pair.hear(), b"DONE\r\n", "{suite:?}");
        }
        assert_eq!(pair.say(&long), long, "{suite:?}");
        for piece in long.chunks(30_000) {
            pair.write(piece);
            assert_eq!(pair.hear(), piece, "{suite:?}");
        }
        let mut output = Vec::new();
        pair.records.close(&mut output);
        pair.records.close(&mut output);
        pair.deliver(&output);
        assert!(pair.records.seal(b"more", &mut output).is_err());
        pair.client.send_close_notify();
        pair.hear();
        assert!(pair.records.is_peer_closed() && pair.records.is_closed());
    }
}

#[test]
fn the_smallest_state_is_chosen_unless_the_client_has_it_not() {
    let config = config(Options::default());
    let pair = Pair::new(&config, None, &TLS13);
    assert_eq!(pair.suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(pair.records.heap_bytes(), 0);
}

#[test]
fn keys_are_agreed_in_each_group() {
    use rustls::crypto::aws_lc_rs::kx_group;
    let config = config(Options::default());
    for group in [
        kx_group::X25519MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ] {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![group];
        let only = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(support::AnyCertificate::default()))
            .with_no_client_auth();
        let mut pair = shake(&config, client(&Arc::new(only), "localhost"), 100).unwrap();
        let agreed = pair.client.negotiated_key_exchange_group().unwrap();
        assert_eq!(agreed.name(), group.name());
        assert_eq!(pair.say(b"* OK\r\n"), b"* OK\r\n", "{group:?}");
    }
}

#[test]
fn flights_may_come_in_pieces_of_any_size() {
    let config = config(Options::default());
    for version in [&TLS13, &TLS12] {
        for piece in [1, 2, 5, 6, 100, 300] {
            let client_config = Arc::new(client_config(None, &[version]));
            let mut pair = shake(&config, client(&client_config, "localhost"), piece).unwrap();
            assert_eq!(
                pair.say(b"* OK\r\n"),
                b"* OK\r\n",
                "{version:?}, {piece} bytes"
            );
            pair.write(b"a NOOP\r\n");
            assert_eq!(pair.hear(), b"a NOOP\r\n");
        }
    }
}

#[test]
fn what_comes_right_behind_the_handshake_is_not_lost() {
    let config = config(Options::default());
    for version in [&TLS13, &TLS12] {
        let client_config = Arc::new(client_config(None, &[version]));
        let mut client = client(&client_config, "localhost");
        std::io::Write::write_all(&mut client.writer(), b"a CAPABILITY\r\n").unwrap();
        let mut pair = shake(&config, client, usize::MAX).unwrap();
        assert_eq!(pair.hear(), b"a CAPABILITY\r\n");
    }
}

#[test]
fn a_key_update_right_behind_the_handshake_is_ours_to_take() {
    let config = config(Options::default());
    let client_config = Arc::new(client_config(None, &[&TLS13]));
    let mut client = client(&client_config, "localhost");
    let mut handshake = tls::Handshake::new(&config).unwrap();
    let (mut flight, mut output) = (Vec::new(), Vec::new());
    client.write_tls(&mut flight).unwrap();
    assert!(
        handshake
            .handle_input(&flight, &mut output)
            .unwrap()
            .is_none()
    );
    support::give(&mut client, &output);
    // Finished, a KeyUpdate and data under the new key, in one piece.
    client.refresh_traffic_keys().unwrap();
    std::io::Write::write_all(&mut client.writer(), b"a NOOP\r\n").unwrap();
    flight.clear();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    output.clear();
    let established = handshake
        .handle_input(&flight, &mut output)
        .unwrap()
        .unwrap();
    support::give(&mut client, &output);
    let mut pair = Pair {
        client,
        records: established.records,
        suite: established.suite,
        resumed: established.resumed,
        input: established.input,
    };
    assert_eq!(pair.hear(), b"a NOOP\r\n");
    assert!(pair.records.owes_answer());
    assert_eq!(pair.say(b"a OK\r\n"), b"a OK\r\n");
}

#[test]
fn keys_are_updated_by_either_end() {
    let config = config(Options::default());
    for (suite, version) in SUITES.into_iter().filter(|(_, version)| **version == TLS13) {
        let mut pair = Pair::new(&config, Some(suite), version);
        for round in 0..100 {
            pair.client.refresh_traffic_keys().unwrap();
            let text = format!("round {round}");
            pair.write(text.as_bytes());
            assert_eq!(pair.hear(), text.as_bytes());
            // rustls asks for ours: the answer leaves before the data, which opens under the new
            // key.
            assert!(pair.records.owes_answer());
            assert_eq!(pair.say(b"here"), b"here");
            assert!(!pair.records.owes_answer());
        }
    }
}

#[test]
fn a_ticket_resumes_until_its_key_is_gone() {
    for version in [&TLS13, &TLS12] {
        let config = config(Options::default());
        let client_config = Arc::new(client_config(None, &[version]));
        let connect = || {
            let mut pair = shake(&config, client(&client_config, "localhost"), usize::MAX).unwrap();
            assert_eq!(pair.say(b"* OK\r\n"), b"* OK\r\n");
            pair.write(b"a NOOP\r\n");
            assert_eq!(pair.hear(), b"a NOOP\r\n");
            pair.resumed
        };
        assert_eq!([connect(), connect(), connect()], [false, true, true]);
        config.reload(&[identity(&["localhost"])]).unwrap();
        assert!(connect(), "a reload takes tickets that are out");
        config.set_time(NOW + u64::from(TICKET_LIFETIME_S));
        // Made by the key before, which still opens it.
        assert!(connect());
        config.set_time(NOW + 3 * u64::from(TICKET_LIFETIME_S));
        config.set_time(NOW + 4 * u64::from(TICKET_LIFETIME_S));
        assert!(!connect(), "two rotations later it is a full handshake");
    }
}

#[test]
fn without_tickets_nothing_is_resumed() {
    let options = Options {
        tickets: false,
        ..Options::default()
    };
    let config = config(options);
    let client_config = Arc::new(client_config(None, &[&TLS13, &TLS12]));
    for _ in 0..2 {
        let pair = shake(&config, client(&client_config, "localhost"), usize::MAX).unwrap();
        assert!(!pair.resumed);
    }
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let identities = [identity(&["one.example"]), identity(&["*.two.example"])];
    let config = Config::new(&identities, Options::default(), NOW).unwrap();
    let shown = |name: &str| {
        let client_config = Arc::new(client_config(None, &[&TLS13]));
        let pair = shake(&config, client(&client_config, name), usize::MAX).unwrap();
        pair.client.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown("one.example");
    assert_ne!(shown("imap.two.example"), first);
    // An unknown name, and an address, which is no name: never a handshake that dies.
    assert_eq!(shown("nobody.example"), first);
    assert_eq!(shown("192.0.2.1"), first);
}

#[test]
fn a_name_with_two_kinds_of_keys_is_proved_by_the_one_that_the_client_takes() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    let rsa = Identity::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let both = [identity(&["localhost"]), rsa];
    let config = Config::new(&both, Options::default(), NOW).unwrap();
    let of_rsa = [
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let of_rsa = of_rsa.into_iter().map(|suite| (suite, &TLS12));
    for (suite, version) in SUITES.into_iter().chain(of_rsa) {
        let mut pair = Pair::new(&config, Some(suite), version);
        assert_eq!(pair.suite, suite);
        assert_eq!(pair.say(b"* OK\r\n"), b"* OK\r\n", "{suite:?}");
    }
}

#[test]
fn early_data_is_never_offered() {
    let config = config(Options::default());
    let mut client_config = client_config(None, &[&TLS13]);
    client_config.enable_early_data = true;
    let client_config = Arc::new(client_config);
    for resumed in [false, true] {
        let mut client = client(&client_config, "localhost");
        assert!(client.early_data().is_none());
        let mut pair = shake(&config, client, usize::MAX).unwrap();
        assert_eq!(pair.resumed, resumed);
        pair.say(b"the ticket is read");
    }
}

#[test]
fn a_reload_shows_the_other_certificate_to_who_comes_later() {
    let config = config(Options::default());
    let client_config = || Arc::new(client_config(None, &[&TLS13]));
    let connect = || shake(&config, client(&client_config(), "localhost"), usize::MAX).unwrap();
    let mut before = connect();
    config.reload(&[identity(&["localhost"])]).unwrap();
    let after = connect();
    let shown = |pair: &Pair| pair.client.peer_certificates().unwrap()[0].to_vec();
    assert_ne!(shown(&before), shown(&after));
    assert_eq!(before.say(b"still here"), b"still here");
    // With none there is no handshake, and there is again with the next one.
    config.reload(&[]).unwrap();
    assert!(shake(&config, client(&client_config(), "localhost"), usize::MAX).is_err());
    config.reload(&[identity(&["localhost"])]).unwrap();
    assert_ne!(shown(&connect()), shown(&after));
}

#[test]
fn an_old_version_or_another_protocol_is_refused_with_its_alert() {
    let options = Options {
        oldest: Version::Tls13,
        protocols: vec![b"imap".to_vec()],
        ..Options::default()
    };
    let config = config(options);
    let told = |mut client: rustls::ClientConnection| {
        let mut flight = Vec::new();
        client.write_tls(&mut flight).unwrap();
        let mut output = Vec::new();
        let mut handshake = tls::Handshake::new(&config).unwrap();
        assert!(handshake.handle_input(&flight, &mut output).is_err());
        assert!(handshake.handle_input(b"", &mut output).is_err());
        client.read_tls(&mut &output[..]).unwrap();
        client.process_new_packets().unwrap_err()
    };
    let old = Arc::new(client_config(None, &[&TLS12]));
    let alert = Error::AlertReceived(AlertDescription::ProtocolVersion);
    assert_eq!(told(client(&old, "localhost")), alert);

    let mut browser = client_config(None, &[&TLS13]);
    browser.alpn_protocols = vec![b"http/1.1".to_vec()];
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(told(client(&Arc::new(browser), "localhost")), alert);
    // None is no other, and the right one is right.
    Pair::new(&config, None, &TLS13);
    let mut mail = client_config(None, &[&TLS13]);
    mail.alpn_protocols = vec![b"imap".to_vec()];
    shake(&config, client(&Arc::new(mail), "localhost"), usize::MAX).unwrap();
}

#[test]
fn what_is_no_handshake_ends_at_once_and_bounded() {
    let config = config(Options::default());
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[22, 3, 1, 0xff, 0xff],
        &[0; 40],
    ] {
        let mut handshake = tls::Handshake::new(&config).unwrap();
        let ended = handshake.handle_input(nonsense, &mut Vec::new());
        assert!(ended.is_err(), "{nonsense:?}");
    }
    // Warnings before the hello mean nothing, and have an end.
    let mut handshake = tls::Handshake::new(&config).unwrap();
    let warnings = b"\x15\x03\x03\x00\x02\x01\x00".repeat(10);
    assert!(handshake.handle_input(&warnings, &mut Vec::new()).is_err());
    // A ClientHello, then close_notify.
    let client_config = Arc::new(client_config(None, &[&TLS13]));
    let mut one = client(&client_config, "localhost");
    let mut flight = Vec::new();
    one.write_tls(&mut flight).unwrap();
    flight.extend_from_slice(b"\x15\x03\x03\x00\x02\x01\x00");
    let mut handshake = tls::Handshake::new(&config).unwrap();
    assert!(handshake.handle_input(&flight, &mut Vec::new()).is_err());
    // A hello of 16 MB, of which the end never comes; rustls has no alert for it.
    let mut handshake = tls::Handshake::new(&config).unwrap();
    let mut endless = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    endless.resize(5 + 0x4000, 0);
    let mut output = Vec::new();
    let ended = (0..4).find_map(|_| handshake.handle_input(&endless, &mut output).err());
    assert!(matches!(
        ended,
        Some(HandshakeError::TooLong | HandshakeError::Tls(_))
    ));
}

#[test]
fn the_client_hears_why_it_is_cut() {
    let config = config(Options::default());
    for version in [&TLS13, &TLS12] {
        let mut pair = Pair::new(&config, None, version);
        pair.write(b"a NOOP\r\n");
        let mut flight = Vec::new();
        pair.client.write_tls(&mut flight).unwrap();
        *flight.last_mut().unwrap() ^= 1;
        let fault = pair.records.open(&mut flight).unwrap_err();
        assert_eq!(fault.alert, Alert::BadRecordMac);
        assert!(
            pair.records.open(&mut flight).is_err(),
            "it opens nothing more"
        );
        let mut output = Vec::new();
        pair.records.alert(fault.alert, &mut output);
        pair.client.read_tls(&mut &output[..]).unwrap();
        let heard = pair.client.process_new_packets().unwrap_err();
        assert_eq!(heard, Error::AlertReceived(AlertDescription::BadRecordMac));
        assert!(pair.records.seal(b"more", &mut output).is_err());
    }
}

#[test]
fn a_client_that_gives_up_is_not_answered() {
    let config = config(Options::default());
    let mut pair = Pair::new(&config, None, &TLS12);
    // rustls ends a connection of TLS 1.2 with an alert when it meets a forged record.
    let mut output = Vec::new();
    pair.records.seal(b"data", &mut output).unwrap();
    *output.last_mut().unwrap() ^= 1;
    pair.client.read_tls(&mut &output[..]).unwrap();
    assert!(pair.client.process_new_packets().is_err());
    let mut flight = Vec::new();
    pair.client.write_tls(&mut flight).unwrap();
    let (_, opened) = pair.records.open(&mut flight).unwrap();
    assert_eq!(opened, Opened::Failed(Alert::BadRecordMac as u8));
    let length = output.len();
    pair.records.close(&mut output);
    assert_eq!(output.len(), length);
}

#[test]
fn close_notify_ends_a_handshake_of_either_version() {
    let config = config(Options::default());
    for version in [&TLS13, &TLS12] {
        let client_config = Arc::new(client_config(None, &[version]));
        let mut client = client(&client_config, "localhost");
        let (mut flight, mut output) = (Vec::new(), Vec::new());
        client.write_tls(&mut flight).unwrap();
        flight.extend_from_slice(&[21, 3, 3, 0, 2, 1, 0]);
        let mut handshake = tls::Handshake::new(&config).unwrap();
        let ended = handshake.handle_input(&flight, &mut output);
        assert!(ended.is_err(), "{version:?} goes on");
    }
}
