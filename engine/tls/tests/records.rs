//! Against a peer that keeps no rules (RFC 8446 §5, §4.6.3).

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use support::peer::{ALERT, ASKING, CHANGE, CIPHERS, DATA, HANDSHAKE, Peer, TELLING, joined};
use tls::{Alert, Cipher, Opened, PLAINTEXT_MAX, QUIET_MAX, Records};

/// What our end finds in these bytes, up to a fault.
fn faces(records: &mut Records, bytes: &[u8]) -> Result<Vec<u8>, Alert> {
    let mut bytes = bytes.to_vec();
    let (mut data, mut from) = (Vec::new(), 0);
    loop {
        match records
            .open(&mut bytes[from..])
            .map_err(|fault| fault.alert)?
        {
            (_, Opened::Incomplete) => return Ok(data),
            (0, Opened::Closed) => return Ok(data),
            (length, Opened::Data(piece)) => {
                data.extend_from_slice(piece);
                from += length;
            }
            (length, _) => from += length,
        }
    }
}

/// The fault that one inside of a record leads to.
fn fault(inner: &[u8]) -> Result<Vec<u8>, Alert> {
    let (mut records, mut peer, _) = joined(Cipher::Aes128Gcm);
    faces(&mut records, &peer.seal_inner(inner))
}

#[test]
fn what_a_record_may_not_be() {
    let with = |content: u8, data: &[u8]| fault(&[data, &[content]].concat());
    let unexpected = Err(Alert::UnexpectedMessage);
    assert_eq!(fault(b""), unexpected, "nothing inside");
    assert_eq!(fault(&[0; 100]), unexpected, "padding only");
    assert_eq!(with(CHANGE, &[1]), unexpected);
    assert_eq!(with(24, b"heartbeat"), unexpected);
    assert_eq!(
        with(HANDSHAKE, b""),
        unexpected,
        "an empty piece of a message"
    );
    assert_eq!(with(HANDSHAKE, &[1, 0, 0, 0]), unexpected, "a ClientHello");
    assert_eq!(with(HANDSHAKE, &[4, 0, 0, 0]), unexpected, "a ticket");
    assert_eq!(with(HANDSHAKE, &[11, 0, 0, 0]), unexpected, "a certificate");
    assert_eq!(
        with(HANDSHAKE, &[&ASKING[..], &TELLING].concat()),
        unexpected
    );
    assert_eq!(with(HANDSHAKE, &[&ASKING[..], &[24]].concat()), unexpected);
    assert_eq!(
        with(HANDSHAKE, &[24, 0, 0, 2, 0, 0]),
        Err(Alert::DecodeError)
    );
    assert_eq!(with(HANDSHAKE, &[24, 0, 0, 0]), Err(Alert::DecodeError));
    assert_eq!(
        with(HANDSHAKE, &[24, 0, 0, 1, 2]),
        Err(Alert::IllegalParameter)
    );
    assert_eq!(with(ALERT, b""), Err(Alert::DecodeError));
    assert_eq!(with(ALERT, &[1]), Err(Alert::DecodeError));
    assert_eq!(with(ALERT, &[1, 0, 1, 0]), Err(Alert::DecodeError));
}

#[test]
fn plain_text_is_refused_at_its_first_byte() {
    let plain = [
        &b"a NOOP\r\n"[..],
        &[20, 3, 3, 0, 1, 1],
        &[21, 3, 3, 0, 2, 1, 0],
        &[22, 3, 3, 0, 5, 24, 0, 0, 1, 0],
    ];
    for bytes in plain {
        for length in [1, bytes.len()] {
            let (mut records, ..) = joined(Cipher::Aes128Gcm);
            let met = faces(&mut records, &bytes[..length]);
            assert_eq!(met, Err(Alert::UnexpectedMessage), "{bytes:?}");
        }
    }
    // What looks sealed and is not.
    let (mut records, ..) = joined(Cipher::Aes128Gcm);
    let met = faces(&mut records, &[23, 3, 3, 0, 0]);
    assert_eq!(met, Err(Alert::BadRecordMac));
}

#[test]
fn a_record_is_as_long_as_allowed_and_no_longer() {
    let inside = |length: usize| [&vec![b'x'; length][..], &[DATA]].concat();
    assert_eq!(fault(&inside(PLAINTEXT_MAX)).unwrap().len(), PLAINTEXT_MAX);
    assert_eq!(
        fault(&inside(PLAINTEXT_MAX + 1)),
        Err(Alert::RecordOverflow)
    );
    // Padding counts: RFC 8446 §5.4.
    let padded = |data: usize, zeros: usize| [inside(data), vec![0; zeros]].concat();
    assert_eq!(fault(&padded(5, PLAINTEXT_MAX - 5)).unwrap(), b"xxxxx");
    assert_eq!(
        fault(&padded(5, PLAINTEXT_MAX - 4)),
        Err(Alert::RecordOverflow)
    );
    // A header alone shows it.
    let (mut records, ..) = joined(Cipher::Aes128Gcm);
    let length = (PLAINTEXT_MAX + 256 + 1) as u16;
    let header = [&[23, 3, 3][..], &length.to_be_bytes()].concat();
    assert_eq!(faces(&mut records, &header), Err(Alert::RecordOverflow));
    // Its version means nothing.
    let (mut records, ..) = joined(Cipher::Aes128Gcm);
    assert_eq!(faces(&mut records, &[23, 9, 9, 0x41, 0]), Ok(vec![]));
}

#[test]
fn a_byte_changed_anywhere_is_met() {
    for cipher in CIPHERS {
        let sealed = joined(cipher).1.seal(DATA, b"a NOOP\r\n");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let (mut records, ..) = joined(cipher);
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                // A longer length waits for more, and is met then.
                changed.resize(5 + PLAINTEXT_MAX + 256, 0);
                let met = faces(&mut records, &changed);
                assert!(met.is_err(), "{cipher:?}: bit {bit} of byte {at}: {met:?}");
            }
        }
    }
}

#[test]
fn a_record_again_or_out_of_its_turn_does_not_open() {
    let (mut records, mut peer, _) = joined(Cipher::ChaCha20Poly1305);
    let [one, two] = [b"one", b"two"].map(|text| peer.seal(DATA, text));
    assert_eq!(faces(&mut records, &one).unwrap(), b"one");
    assert_eq!(faces(&mut records, &one), Err(Alert::BadRecordMac));
    assert_eq!(
        faces(&mut records, &two),
        Err(Alert::InternalError),
        "it is over"
    );
    let (mut records, ..) = joined(Cipher::ChaCha20Poly1305);
    assert_eq!(faces(&mut records, &two), Err(Alert::BadRecordMac));
}

#[test]
fn a_key_update_may_come_in_pieces_but_nothing_in_between() {
    let (mut records, mut peer, _) = joined(Cipher::Aes256Gcm);
    let mut sent = Vec::new();
    for byte in ASKING {
        sent.extend(peer.seal(HANDSHAKE, &[byte]));
    }
    peer.update();
    sent.extend(peer.seal(DATA, b"new key"));
    assert_eq!(faces(&mut records, &sent).unwrap(), b"new key");
    assert!(records.owes_answer());
    for (content, data) in [(DATA, &b"x"[..]), (DATA, b""), (ALERT, &[1, 0])] {
        let (mut records, mut peer, _) = joined(Cipher::Aes256Gcm);
        let mut sent = peer.seal(HANDSHAKE, &ASKING[..3]);
        sent.extend(peer.seal(content, data));
        assert_eq!(faces(&mut records, &sent), Err(Alert::UnexpectedMessage));
    }
}

#[test]
fn the_old_key_is_dead_after_an_update() {
    let (mut records, mut peer, _) = joined(Cipher::Aes128Gcm);
    let mut sent = peer.seal(HANDSHAKE, &TELLING);
    sent.extend(peer.seal(DATA, b"under the old key"));
    assert_eq!(faces(&mut records, &sent), Err(Alert::BadRecordMac));
}

#[test]
fn a_storm_of_updates_has_one_answer_and_an_end() {
    let (mut records, mut peer, mut opener) = joined(Cipher::Aes128Gcm);
    let update = |peer: &mut Peer| {
        let sealed = peer.seal(HANDSHAKE, &ASKING);
        peer.update();
        sealed
    };
    for _ in 0..QUIET_MAX {
        faces(&mut records, &update(&mut peer)).unwrap();
    }
    // Data in between begins the count again: a long life has as many as it likes.
    assert_eq!(faces(&mut records, &peer.seal(DATA, b"x")).unwrap(), b"x");
    let mut output = Vec::new();
    records.answer(&mut output).unwrap();
    records.answer(&mut output).unwrap();
    records.seal(b"after", &mut output).unwrap();
    let (content, data, length) = opener.open(&output);
    assert_eq!((content, &data[..]), (HANDSHAKE, &TELLING[..]));
    opener.update();
    let (content, data, rest) = opener.open(&output[length..]);
    assert_eq!((content, &data[..]), (DATA, &b"after"[..]));
    assert_eq!(length + rest, output.len(), "one answer");

    for _ in 0..QUIET_MAX {
        faces(&mut records, &update(&mut peer)).unwrap();
    }
    let met = faces(&mut records, &update(&mut peer));
    assert_eq!(met, Err(Alert::UnexpectedMessage));
}

#[test]
fn empty_records_have_an_end() {
    let (mut records, mut peer, _) = joined(Cipher::Aes128Gcm);
    for _ in 0..QUIET_MAX {
        assert_eq!(faces(&mut records, &peer.seal(DATA, b"")).unwrap(), b"");
    }
    let met = faces(&mut records, &peer.seal(DATA, b""));
    assert_eq!(met, Err(Alert::UnexpectedMessage));
}

#[test]
fn after_close_notify_nothing_is_heard_and_all_can_be_said() {
    let (mut records, mut peer, mut opener) = joined(Cipher::Aes128Gcm);
    let mut sent = peer.seal(DATA, b"bye");
    sent.extend(peer.seal(ALERT, &[1, Alert::UserCanceled as u8]));
    sent.extend(peer.seal(ALERT, &[1, 0]));
    sent.extend(peer.seal(DATA, b"unheard"));
    sent.extend(b"and whatever");
    let (mut heard, mut from) = (Vec::new(), 0);
    while from < sent.len() {
        let (length, opened) = records.open(&mut sent[from..]).unwrap();
        from += length;
        if let Opened::Data(data) = opened {
            heard.extend_from_slice(data);
        }
    }
    assert_eq!(heard, b"bye");
    assert!(records.is_peer_closed() && !records.is_closed());
    let mut output = Vec::new();
    records.seal(b"* BYE\r\n", &mut output).unwrap();
    records.close(&mut output);
    let (_, data, length) = opener.open(&output);
    assert_eq!(data, b"* BYE\r\n");
    let (content, data, _) = opener.open(&output[length..]);
    assert_eq!((content, &data[..]), (ALERT, &[1, 0][..]));
}

#[test]
fn a_fatal_alert_ends_both_ways() {
    for level in [1, 2] {
        let (mut records, mut peer, _) = joined(Cipher::Aes128Gcm);
        let mut sent = peer.seal(ALERT, &[level, 42]);
        let (_, opened) = records.open(&mut sent).unwrap();
        assert_eq!(
            opened,
            Opened::Failed(42),
            "in TLS 1.3 the level says nothing"
        );
        let mut output = Vec::new();
        records.close(&mut output);
        assert!(output.is_empty() && records.seal(b"x", &mut output).is_err());
    }
}

#[test]
fn secrets_of_another_length_are_refused() {
    assert!(Records::tls13(Cipher::Aes256Gcm, &[0; 32], &[0; 48]).is_err());
    assert!(Records::tls13(Cipher::Aes128Gcm, &[0; 32], &[0; 31]).is_err());
}
