//! How the traffic secrets of TLS 1.3, and that of its exporter, leave rustls.
//!
//! rustls hands out keys, from which no KeyUpdate can be made; the secrets it tells its `KeyLog`.
//! It does so within the call that makes them, so the handshake that runs on this thread takes them
//! from here when that call returns. They are written nowhere.

use std::cell::RefCell;

use rustls::KeyLog;
use zeroize::Zeroizing;

/// Bytes of the longest: SHA-384's.
const SECRET_MAX: usize = 48;

/// A traffic secret.
pub(crate) struct Secret {
    bytes: Zeroizing<[u8; SECRET_MAX]>,
    length: usize,
}

impl Secret {
    fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SECRET_MAX]);
        bytes.get_mut(..secret.len())?.copy_from_slice(secret);
        Some(Self {
            bytes,
            length: secret.len(),
        })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The secrets of both ways and of the exporter, as far as they are known.
#[derive(Default)]
pub(crate) struct Secrets {
    pub client: Option<Secret>,
    pub server: Option<Secret>,
    pub exporter: Option<Secret>,
}

impl Secrets {
    const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
    const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";
    const EXPORTER: &str = "EXPORTER_SECRET";

    /// Runs one step of a handshake, and keeps what is told meanwhile.
    pub fn during<T>(&mut self, step: impl FnOnce() -> T) -> T {
        TOLD.with_borrow_mut(|told| *told = Secrets::default());
        let result = step();
        let told = TOLD.take();
        self.client = told.client.or(self.client.take());
        self.server = told.server.or(self.server.take());
        self.exporter = told.exporter.or(self.exporter.take());
        result
    }
}

thread_local! {
    static TOLD: RefCell<Secrets> = RefCell::default();
}

/// Takes what [`Secrets::during`] keeps.
#[derive(Debug)]
pub(crate) struct Listener;

impl KeyLog for Listener {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        TOLD.with_borrow_mut(|told| match label {
            Secrets::CLIENT => told.client = Secret::new(secret),
            Secrets::SERVER => told.server = Secret::new(secret),
            Secrets::EXPORTER => told.exporter = Secret::new(secret),
            _ => {}
        });
    }

    fn will_log(&self, label: &str) -> bool {
        [Secrets::CLIENT, Secrets::SERVER, Secrets::EXPORTER].contains(&label)
    }
}
