//! The client's side against the server's.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::Arc;

use support::{AnyCertificate, config};
use tls::{
    Alert, Cipher, ClientConfig, ClientHandshake, Handshake, Joined, Opened, Options, Records,
};

/// Both ends, joined; everything travels in pieces of so many bytes.
fn joined(options: Options, piece: usize) -> (Records, Joined) {
    let config = config(options);
    let verifier = Arc::new(AnyCertificate::default());
    let client_config = ClientConfig::new("localhost".try_into().unwrap(), verifier).unwrap();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut client = ClientHandshake::begin(&client_config, &mut to_server).unwrap();
    let mut server = Handshake::new(&config).unwrap();
    let (mut left, mut right) = (None, None);
    for _ in 0..4 {
        for bytes in std::mem::take(&mut to_server).chunks(piece) {
            left = server.handle_input(bytes, &mut to_client).unwrap().or(left);
        }
        for bytes in std::mem::take(&mut to_client).chunks(piece) {
            match &mut right {
                None => right = client.handle_input(bytes, &mut to_server).unwrap(),
                Some(Joined { input, .. }) => input.extend_from_slice(bytes),
            }
        }
    }
    (left.unwrap().records, right.unwrap())
}

/// What comes of sealed bytes.
fn heard(records: &mut Records, sealed: &mut [u8]) -> Vec<u8> {
    let (mut data, mut from) = (Vec::new(), 0);
    while from < sealed.len() {
        let (length, opened) = records.open(&mut sealed[from..]).unwrap();
        match opened {
            Opened::Data(piece) => data.extend_from_slice(piece),
            Opened::Incomplete => panic!("records come whole"),
            _ => {}
        }
        from += length;
    }
    data
}

#[test]
fn both_ends_talk_with_tickets_and_without() {
    for tickets in [true, false] {
        for piece in [1, 100, usize::MAX] {
            let options = Options {
                tickets,
                ..Options::default()
            };
            let (mut server, Joined { mut records, input }) = joined(options, piece);
            assert_eq!(records.cipher(), Cipher::Aes128Gcm);
            let mut sealed = input;
            assert_eq!(sealed.is_empty(), !tickets);
            server.seal(b"* OK hi\r\n", &mut sealed).unwrap();
            assert_eq!(heard(&mut records, &mut sealed), b"* OK hi\r\n");
            let mut sealed = Vec::new();
            records.seal(b"a NOOP\r\n", &mut sealed).unwrap();
            assert_eq!(heard(&mut server, &mut sealed), b"a NOOP\r\n");
        }
    }
}

#[test]
fn keys_are_renewed_both_ways() {
    for cipher in [
        Cipher::Aes128Gcm,
        Cipher::Aes256Gcm,
        Cipher::ChaCha20Poly1305,
    ] {
        let [ours, theirs] = [3, 4].map(|byte| vec![byte; cipher.secret_len()]);
        let mut server = Records::tls13(cipher, &ours, &theirs).unwrap();
        let mut client = Records::tls13_client(cipher, &theirs, &ours).unwrap();
        for round in 0..3u8 {
            let mut sealed = Vec::new();
            client.update_key(true, &mut sealed).unwrap();
            client.seal(&[round], &mut sealed).unwrap();
            assert_eq!(heard(&mut server, &mut sealed), [round], "{cipher:?}");
            assert!(server.owes_answer());
            let mut sealed = Vec::new();
            server.seal(&[round, round], &mut sealed).unwrap();
            assert_eq!(heard(&mut client, &mut sealed), [round; 2], "{cipher:?}");
            assert!(!server.owes_answer() && !client.owes_answer());
        }
    }
}

#[test]
fn a_client_ends_as_a_server_does() {
    let secret = [5; 32];
    let mut server = Records::tls13(Cipher::Aes128Gcm, &secret, &secret).unwrap();
    let mut client = Records::tls13_client(Cipher::Aes128Gcm, &secret, &secret).unwrap();
    let mut end = Vec::new();
    client.close(&mut end);
    assert!(client.update_key(false, &mut end).is_err());
    let mut forged = end.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(server.open(&mut end).unwrap().1, Opened::Closed);
    let mut end = Vec::new();
    server.close(&mut end);
    assert_eq!(client.open(&mut end).unwrap().1, Opened::Closed);
    let mut server = Records::tls13(Cipher::Aes128Gcm, &secret, &secret).unwrap();
    let fault = server.open(&mut forged).unwrap_err();
    assert_eq!(fault.alert, Alert::BadRecordMac);
}
