//! The command line of `configure`.

use clap::Parser;

/// Makes this base directory ready for its services. It may be run again at any time.
///
/// It makes the folders config, data, log and run where there are none, and closes them to others;
/// writes config/msg.conf.defaults anew, which lists all options with what they do, and an empty
/// config/msg.conf if there is none; makes a certificate that signs itself if there is no
/// config/tls; and, run by root, gives data, log and run to the service user, and config to the
/// group of that user for reading. An installation or an upgrade of a package does all this.
///
/// Exit codes: 0 done, 1 something could not be done, 2 usage.
#[derive(Parser)]
#[command(name = "configure", version)]
pub struct Arguments {
    /// Whom the services run as; without it, whom they run as so far.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}
