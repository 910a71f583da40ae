//! Whatever is said, in whatever pieces, is heard, once and in order.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rustls::version::{TLS12, TLS13};
use support::peer::{ASKING, CIPHERS, DATA, HANDSHAKE, TELLING, joined};
use tls::{Config, Handshake, Opened, Options, PLAINTEXT_MAX, sealed_len};

#[derive(Debug, Clone)]
enum Act {
    Say(Vec<u8>),
    Pad(Vec<u8>, usize),
    Update(bool),
    Empty,
}

fn act() -> impl Strategy<Value = Act> {
    let data = || prop::collection::vec(any::<u8>(), 1..200);
    prop_oneof![
        4 => data().prop_map(Act::Say),
        1 => (data(), 0..300usize).prop_map(|(data, zeros)| Act::Pad(data, zeros)),
        1 => any::<bool>().prop_map(Act::Update),
        1 => Just(Act::Empty),
    ]
}

/// Flips bits of what a client says in its handshake; gives whether our end took it.
fn shake_badly(flips: &[(bool, usize, u8)], piece: usize, old: bool) -> bool {
    static CONFIG: LazyLock<Config> = LazyLock::new(|| support::config(Options::default()));
    let version = if old { &TLS12 } else { &TLS13 };
    let client_config = Arc::new(support::client_config(None, &[version]));
    let mut client = support::client(&client_config, "localhost");
    let mut handshake = Handshake::new(&CONFIG).unwrap();
    for second in [false, true] {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        for (_, at, flip) in flips.iter().filter(|(of, ..)| *of == second) {
            if let Some(byte) = flight.get_mut(*at) {
                *byte ^= flip;
            }
        }
        for piece in flight.chunks(piece) {
            let mut output = Vec::new();
            match handshake.handle_input(piece, &mut output) {
                Ok(Some(_)) => return true,
                Ok(None) => support::give(&mut client, &output),
                Err(_) => {
                    // It is over, whatever comes.
                    assert!(handshake.handle_input(piece, &mut output).is_err());
                    return false;
                }
            }
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_bad_handshake_ends_without_harm(
        flips in prop::collection::vec((any::<bool>(), 0..300usize, any::<u8>()), 0..4),
        piece in 1..2000usize,
        old in any::<bool>(),
    ) {
        let took = shake_badly(&flips, piece, old);
        // Not all that is changed is noticed: a record's version means nothing. Nothing changed is.
        prop_assert!(took || flips.iter().any(|(_, _, flip)| *flip != 0));
    }

    #[test]
    fn what_the_peer_says_is_heard_however_it_is_cut(
        at in 0..3usize,
        acts in prop::collection::vec(act(), 0..30),
        cuts in prop::collection::vec(1..400usize, 1..20),
    ) {
        let (mut records, mut peer, _) = joined(CIPHERS[at]);
        let (mut sent, mut said, mut asked) = (Vec::new(), Vec::new(), false);
        for act in acts {
            match act {
                Act::Say(data) => {
                    said.extend_from_slice(&data);
                    sent.extend(peer.seal(DATA, &data));
                }
                Act::Pad(data, zeros) => {
                    said.extend_from_slice(&data);
                    sent.extend(peer.seal_inner(&[&data[..], &[DATA], &vec![0; zeros]].concat()));
                }
                Act::Update(asks) => {
                    sent.extend(peer.seal(HANDSHAKE, if asks { &ASKING } else { &TELLING }));
                    asked |= asks;
                    peer.update();
                }
                Act::Empty => sent.extend(peer.seal(DATA, b"")),
            }
        }
        let (mut waiting, mut heard) = (Vec::new(), Vec::new());
        let mut cuts = cuts.iter().cycle();
        while !sent.is_empty() {
            let cut = (*cuts.next().unwrap()).min(sent.len());
            waiting.extend(sent.drain(..cut));
            let mut from = 0;
            loop {
                match records.open(&mut waiting[from..]).unwrap() {
                    (length, Opened::Incomplete) => {
                        prop_assert_eq!(length, 0);
                        break;
                    }
                    (length, Opened::Data(data)) => {
                        heard.extend_from_slice(data);
                        from += length;
                    }
                    (length, opened) => {
                        prop_assert_eq!(opened, Opened::Control);
                        from += length;
                    }
                }
            }
            waiting.drain(..from);
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(heard, said);
        prop_assert_eq!(records.owes_answer(), asked);
    }

    #[test]
    fn what_we_say_is_heard_in_records_as_long_as_allowed(
        at in 0..3usize,
        lengths in prop::collection::vec((0..3 * PLAINTEXT_MAX, any::<bool>()), 1..5),
    ) {
        let (mut records, mut peer, mut opener) = joined(CIPHERS[at]);
        for (length, update) in lengths {
            let data: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut output = Vec::new();
            let mut heard = Vec::new();
            if update {
                let mut asking = peer.seal(HANDSHAKE, &ASKING);
                peer.update();
                records.open(&mut asking).unwrap();
                records.answer(&mut output).unwrap();
                opener.open(&output);
                opener.update();
                output.clear();
            }
            records.seal(&data, &mut output).unwrap();
            prop_assert!(output.len() <= sealed_len(length));
            let mut rest = &output[..];
            while !rest.is_empty() {
                let (content, data, length) = opener.open(rest);
                prop_assert!(content == DATA && data.len() <= PLAINTEXT_MAX);
                heard.extend(data);
                rest = &rest[length..];
            }
            prop_assert_eq!(heard, data);
        }
    }
}
