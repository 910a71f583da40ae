//! Headers of the PROXY protocol.

use proto::proxy::{BINARY_BYTES_MAX, Header};

/// It doesn't matter in which pieces a header comes, and no more is kept than headers have.
pub fn proxy(data: &[u8]) {
    let whole = Header::default().take(data);
    if let Ok(Some((origin, length))) = whole {
        assert!(length <= data.len() && length <= BINARY_BYTES_MAX);
        let mapped = |ip: std::net::IpAddr| ip != ip.to_canonical();
        assert!(!origin.client.is_some_and(|client| mapped(client.ip())));
    }
    let mut under_way = Header::default();
    let mut taken = 0;
    let mut pieces = Ok(None);
    for (at, piece) in data.chunks(1 + data.len() % 7).enumerate() {
        pieces = under_way.take(piece);
        assert!(under_way.held_bytes() <= BINARY_BYTES_MAX);
        match &pieces {
            Ok(None) => taken += piece.len(),
            Ok(Some((origin, length))) => {
                pieces = Ok(Some((*origin, taken + length)));
                break;
            }
            Err(_) => break,
        }
        assert!(at <= data.len());
    }
    assert_eq!(pieces, whole);
}
