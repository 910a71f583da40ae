//! What TLS costs a server: sealing an event for each of many parked sessions, opening what one of
//! them says, a handshake. Only the server's side is timed, in time of the processor.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore, SupportedProtocolVersion};
use tls::{Cipher, Config, Handshake, Identity, Opened, Options, Records};

const CIPHERS: [(&str, Cipher); 3] = [
    ("aes128gcm", Cipher::Aes128Gcm),
    ("aes256gcm", Cipher::Aes256Gcm),
    ("chacha20", Cipher::ChaCha20Poly1305),
];
/// 30 bytes, as an event often is.
const MESSAGE: &[u8] = b"* 12345 EXISTS\r\n* 1 RECENT\r\n\r\n";

/// Sessions that are told in one sweep: more than the caches hold.
fn sessions() -> u64 {
    if benches::is_measuring() { 10_000 } else { 10 }
}

/// What this thread has worked so far: other work on the machine does not count.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn pair(cipher: Cipher, number: u64) -> (Records, Records) {
    let secret = |way: u8| {
        let mut secret = vec![way; cipher.secret_len()];
        secret[..8].copy_from_slice(&number.to_ne_bytes());
        secret
    };
    let end = |send: &[u8], receive: &[u8]| Records::tls13(cipher, send, receive).expect("secrets");
    let (ours, theirs) = (secret(1), secret(2));
    (end(&ours, &theirs), end(&theirs, &ours))
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tls/seal");
    group.throughput(Throughput::Elements(sessions()));
    group.sample_size(20);
    for (name, cipher) in CIPHERS {
        let all = (0..sessions()).map(|number| pair(cipher, number).0);
        let mut all: Vec<Records> = all.collect();
        let mut output = Vec::with_capacity(1024);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let start = worked();
                for _ in 0..rounds {
                    for records in &mut all {
                        output.clear();
                        records.seal(MESSAGE, &mut output).expect("it is open");
                        black_box(&output);
                    }
                }
                worked() - start
            });
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tls/open");
    group.throughput(Throughput::Elements(1));
    for (name, cipher) in CIPHERS {
        let (mut ours, mut theirs) = pair(cipher, 0);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut sealed = Vec::new();
                for _ in 0..rounds {
                    theirs.seal(b"DONE\r\n", &mut sealed).expect("it is open");
                }
                let (start, mut from) = (worked(), 0);
                while from < sealed.len() {
                    let (length, opened) = ours.open(&mut sealed[from..]).expect("a record");
                    assert!(!matches!(black_box(opened), Opened::Incomplete));
                    from += length;
                }
                worked() - start
            });
        });
    }
    group.finish();
}

/// A server's certificate, and who trusts it.
fn identity() -> (Identity, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
    (identity, made.cert.der().clone())
}

fn client(
    root: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    group: NamedGroup,
    resumes: bool,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let kx_groups = aws_lc_rs::ALL_KX_GROUPS.iter().copied();
    let provider = CryptoProvider {
        kx_groups: kx_groups.filter(|it| it.name() == group).collect(),
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Arc::new(config)
}

/// One handshake: what the server's side took, and whether it resumed.
fn shake(server: &Config, client: &Arc<ClientConfig>) -> (Duration, bool) {
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(client.clone(), name).expect("a client");
    let (mut flight, mut output) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    let start = worked();
    let mut handshake = Handshake::new(server).expect("a server");
    let mut took = worked() - start;
    loop {
        while client.wants_write() {
            client.write_tls(&mut flight).expect("a vector");
        }
        let start = worked();
        let step = handshake.handle_input(&flight, &mut output);
        took += worked() - start;
        flight.clear();
        let mut written = &output[..];
        while !written.is_empty() {
            client.read_tls(&mut written).expect("a slice");
            client.process_new_packets().expect("it is right");
        }
        output.clear();
        if let Some(established) = step.expect("it is right") {
            return (took, established.resumed);
        }
    }
}

fn handshake(criterion: &mut Criterion) {
    let (identity, root) = identity();
    // Certificates of rcgen are valid for two thousand years.
    let now = 1_700_000_000;
    let server = Config::new(&[identity], Options::default(), now).expect("a configuration");
    let mut group = criterion.benchmark_group("tls/handshake");
    group.throughput(Throughput::Elements(1));
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    let cases = [
        ("1.3/x25519", tls13, NamedGroup::X25519),
        ("1.3/x25519mlkem768", tls13, NamedGroup::X25519MLKEM768),
        ("1.3/secp256r1", tls13, NamedGroup::secp256r1),
        ("1.2/x25519", tls12, NamedGroup::X25519),
    ];
    for (name, version, kx) in cases {
        for resumes in [false, true] {
            let client = client(&root, version, kx, resumes);
            shake(&server, &client);
            let kind = if resumes { "resumed" } else { "full" };
            group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                bencher.iter_custom(|rounds| {
                    let one = |_| {
                        let (took, resumed) = shake(&server, &client);
                        assert_eq!(resumed, resumes);
                        took
                    };
                    (0..rounds).map(one).sum()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, seal, open, handshake);
criterion_main!(benches);
