//! What a handshake costs a server: its side alone, on one core.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tls::{ClientHandshake, Handshake, Identity};

use crate::link;
use crate::measure::worked;

/// `loadgen shake`
#[derive(clap::Args)]
pub struct Args {
    /// A certificate chain, PEM.
    #[arg(long)]
    chain: PathBuf,
    /// Its private key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Processor time of the server's side, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    milliseconds: u64,
}

/// Handshakes a second of this thread's own processor time, without the client's side of them.
///
/// # Errors
/// If the certificate is of no use.
pub fn run(args: &Args) -> Result<f64, String> {
    let identity = Identity::read(&args.chain, &args.key).map_err(|error| error.to_string())?;
    of(&identity, Duration::from_millis(args.milliseconds))
}

fn of(identity: &Identity, least: Duration) -> Result<f64, String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let options = tls::Options::default();
    let server = tls::Config::new(std::slice::from_ref(identity), options, now);
    let server = server.map_err(|error| failed(&error))?;
    let client_config = link::config().map_err(|error| failed(&error))?;
    let (mut took, mut count) = (Duration::ZERO, 0u32);
    while took < least {
        let (mut flight, mut output) = (Vec::new(), Vec::new());
        let client = ClientHandshake::begin(&client_config, &mut flight);
        let mut client = client.map_err(|error| failed(&error))?;
        let begun = worked();
        let handshake = Handshake::new(&server);
        took += worked() - begun;
        let mut handshake = handshake.map_err(|error| failed(&error))?;
        loop {
            let begun = worked();
            let step = handshake.handle_input(&flight, &mut output);
            took += worked() - begun;
            flight.clear();
            if step.map_err(|error| failed(&error))?.is_some() {
                break;
            }
            client
                .handle_input(&output, &mut flight)
                .map_err(|error| failed(&error))?;
            output.clear();
        }
        count += 1;
    }
    Ok(f64::from(count) / took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_counted() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a pair");
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
        let rate = of(&identity, Duration::from_millis(1));
        assert!(rate.expect("they end well") > 1.0);
    }
}
