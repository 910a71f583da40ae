//! What is promised for any bytes whatsoever.

use tls::{Alert, Cipher, Opened, PLAINTEXT_MAX, Records};

use crate::peer::Peer;

/// What our end made of its input: data, and the fault if there was one.
type Heard = (Vec<u8>, Option<Alert>);

fn joined() -> (Records, Peer) {
    let (ours, theirs) = ([1; 32], [2; 32]);
    let records = Records::tls13(Cipher::Aes128Gcm, &ours, &theirs).expect("secrets");
    (records, Peer::new(Cipher::Aes128Gcm, &theirs))
}

/// Gives our end the bytes in pieces of `size`.
fn hear(records: &mut Records, bytes: &[u8], size: usize) -> Heard {
    let (mut waiting, mut data) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        waiting.extend_from_slice(piece);
        let mut from = 0;
        while from < waiting.len() {
            match records.open(&mut waiting[from..]) {
                Ok((0, opened)) => {
                    assert_eq!(opened, Opened::Incomplete);
                    break;
                }
                Ok((length, opened)) => {
                    if let Opened::Data(heard) = opened {
                        assert!(!heard.is_empty() && heard.len() <= PLAINTEXT_MAX);
                        data.extend_from_slice(heard);
                    }
                    from += length;
                }
                Err(fault) => {
                    assert!(records.open(&mut waiting[from..]).is_err());
                    let mut output = Vec::new();
                    records.alert(fault.alert, &mut output);
                    assert!(records.is_closed());
                    return (data, Some(fault.alert));
                }
            }
        }
        assert!(waiting.len() - from <= tls::RECORD_MAX);
        waiting.drain(..from);
    }
    (data, None)
}

/// The insides of records: a byte for the type, one for the length, and that much. The peer takes
/// its next key behind what ends like a KeyUpdate, as it would. Heard is the same however it is
/// cut, and data is what was said, up to a fault or the peer's end.
pub fn records(bytes: &[u8]) {
    let sealed = {
        let (_, mut peer) = joined();
        let (mut rest, mut output) = (bytes, Vec::new());
        while let [kind, length, more @ ..] = rest {
            let (data, after) = more.split_at(usize::from(*length).min(more.len()));
            let content = match kind % 8 {
                0..=2 => 23,
                3..=5 => 22,
                6 => 21,
                _ => *kind,
            };
            output.extend(peer.seal(content, data));
            if content == 22 && matches!(data.last(), Some(0 | 1)) {
                peer.update();
            }
            rest = after;
        }
        output
    };
    let whole = hear(&mut joined().0, &sealed, sealed.len());
    for size in [1, 7, 100] {
        assert_eq!(hear(&mut joined().0, &sealed, size), whole);
    }
}

/// What nobody has sealed is never heard.
pub fn raw(bytes: &[u8]) {
    let (data, _) = hear(&mut joined().0, bytes, bytes.len());
    assert!(data.is_empty());
}
