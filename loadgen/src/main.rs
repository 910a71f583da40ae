//! `loadgen`: idles many IMAP clients, delivers mail, checks that each is told exactly once, and
//! reports how soon.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use loadgen::brokers::measures::{self, Plan};
use loadgen::brokers::{self, Broker, listener};
use loadgen::issuer::Issuer;
use loadgen::link::Security;
use loadgen::login::Auth;
use loadgen::plan::{self, Mailboxes};
use loadgen::processes::Server;
use loadgen::report::chart::{self, Chart};
use loadgen::report::curves::{self, Curve};
use loadgen::study::{StormKind, Study};
use loadgen::users::Scheme;
use loadgen::{hostile, report, sendloop, shake, soak, verify};

#[derive(Parser)]
#[command(
    name = "loadgen",
    version,
    about = "Idles many IMAP clients, delivers mail and measures notification"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Idle sessions, single deliveries, a crowd or a burst, under an oracle.
    ///
    /// Any IMAP server with IDLE and any LMTP server that delivers to it may be loaded. It needs
    /// users by a pattern, with one password, who may log in (without TLS, unless --tls is given),
    /// and mailboxes of their own or one that as many connections may watch as there are sessions:
    /// mind its limits of processes, of connections, and of connections by user and address. Give
    /// the LMTP addresses as --recipients, if they aren't the users' names; --server-tree for a
    /// server of many processes; --patience-seconds for one that polls. Only servers of this host
    /// are loaded, unless --allow-remote says otherwise: mail is delivered to them, and it stays
    /// there.
    Idle(Box<Idle>),
    /// Sessions that come, act and go for hours, under an oracle.
    Soak(Box<soak::args::Args>),
    /// Attacks, one after the other, beside a quiet population under an oracle: what others felt.
    ///
    /// It delivers mail and makes mailboxes and large messages; give it a server of its own.
    Hostile(Box<hostile::args::Args>),
    /// Print users for `msguser import`.
    /// Print the public key by which a server checks the tokens of `idle --auth oauthbearer`: the
    /// file of its option oauth.keys.
    Issuer {
        /// The users' password: the key comes from it.
        #[arg(long, default_value = "secret")]
        password: String,
    },
    Users {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        count: u32,
        /// Their names, with `%d`.
        #[arg(long, default_value = "load%d")]
        pattern: String,
        /// Their password.
        #[arg(long, default_value = "secret")]
        password: String,
        /// What stands for it in the user directory.
        #[arg(long, value_enum, default_value = "ssha256")]
        scheme: Scheme,
    },
    /// Count verifications of a password a second, on one core.
    Verify(verify::Args),
    /// Count the server's side of TLS handshakes a second, on one core.
    Shake(shake::Args),
    /// Measure event brokers side by side: latency, fan-out, CPU, memory, throughput.
    Brokers(Brokers),
    /// Draw one measure of several results folders.
    Plot {
        /// Its name in their tables.
        #[arg(long)]
        measure: String,
        /// The SVG to write.
        #[arg(long)]
        out: PathBuf,
        /// A curve: NAME=FOLDER.
        #[arg(required = true)]
        curves: Vec<Curve>,
    },
    /// Draw curves from points; started by `cargo xtask results`.
    #[command(hide = true)]
    Chart {
        /// The SVG to write.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        chart: Chart,
    },
    /// Print which machine this is; started by `cargo xtask results`.
    #[command(hide = true)]
    Machine,
    /// One subscriber; started by `brokers`.
    #[command(hide = true)]
    Listen {
        #[arg(long)]
        broker: Broker,
        #[arg(long)]
        count: usize,
    },
    /// The bare send loop; started by `idle`.
    #[command(hide = true)]
    Sendloop {
        #[arg(long)]
        connections: usize,
    },
}

#[derive(Args)]
struct Idle {
    /// IMAP server.
    #[arg(long, default_value = "127.0.0.1:143")]
    imap: String,
    /// LMTP server.
    #[arg(long, default_value = "127.0.0.1:24")]
    lmtp: String,
    /// Sessions; where a process may open fewer files, rings hold the rest.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// One mailbox each, or all in one.
    #[arg(long, value_enum, default_value = "each")]
    mailboxes: Mailboxes,
    /// User names, with `%d` for the session's number.
    #[arg(long, default_value = "load%d")]
    users: String,
    /// Their password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// How they log in.
    #[arg(long, value_enum, default_value = "login")]
    auth: Auth,
    /// Speak TLS 1.3, from the first byte (on the port for it), or after STARTTLS. Any certificate
    /// is taken.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "implicit")]
    tls: Option<Security>,
    /// Their addresses for LMTP, with `%d`, such as load%d@example.org; their names, unless given.
    #[arg(long)]
    recipients: Option<String>,
    /// Single deliveries; each waits until it was heard.
    #[arg(long, default_value_t = 200)]
    deliveries: usize,
    /// How many of them a second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Then, for so many seconds, deliveries as fast as they go.
    #[arg(long, default_value_t = 0)]
    burst_seconds: u64,
    /// LMTP connections of the burst.
    #[arg(long, default_value_t = 16)]
    lmtp_connections: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1024)]
    message_bytes: usize,
    /// Sessions being set up at a time.
    #[arg(long, default_value_t = 256)]
    setup_concurrency: usize,
    /// Then, for so many seconds, watch how much CPU is taken while everybody idles.
    #[arg(long, default_value_t = 0)]
    idle_seconds: u64,
    /// At the end deliver to each mailbox, a message for so many at a time, until everybody was
    /// told.
    #[arg(long, default_value_t = 0)]
    sweep: usize,
    /// After the single deliveries more of them, while so many other sessions (of the users behind
    /// those of --sessions) leave and come back at once, again and again.
    #[arg(long, default_value_t = 0)]
    reconnecting: usize,
    /// How often they do.
    #[arg(long, default_value_t = 10)]
    reconnect_rounds: usize,
    /// Then, storms.
    #[arg(long, value_enum, value_delimiter = ',')]
    storm: Vec<StormKind>,
    /// For the storm `restart`: what restarts the server, for the shell; it ends when the server
    /// listens again.
    #[arg(long)]
    restart_command: Option<String>,
    /// Where an Ensign server (the first --server-pid) writes its statistics on SIGUSR1:
    /// run/imapd.statistics of its base directory.
    #[arg(long)]
    server_statistics: Option<PathBuf>,
    /// After the burst append as many bytes a record to a file of this folder, with an fdatasync
    /// for each commit, of the sizes that the store's had. Needs --server-statistics.
    #[arg(long, requires = "server_statistics")]
    plain_file: Option<PathBuf>,
    /// Rounds of a bare send loop to as many connections, for comparison.
    #[arg(long, default_value_t = 0)]
    baseline_sendloop: usize,
    /// The server's processes, for their memory and CPU.
    #[arg(long)]
    server_pid: Vec<u32>,
    /// A file with the number of such a process, which is another after a restart.
    #[arg(long)]
    server_pid_file: Vec<PathBuf>,
    /// A process of the server that counts with all its descendants.
    #[arg(long)]
    server_tree: Vec<u32>,
    /// Seconds without news after which a wait ends, and seconds that everyone may take to hear of
    /// a delivery; who did not is reported.
    #[arg(long, default_value_t = 30)]
    patience_seconds: u64,
    /// Seconds that the server may settle before its memory is read, and at the end.
    #[arg(long, default_value_t = 2)]
    settle_seconds: u64,
    /// Seed of the plan.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Write a results folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Allow servers that are not on this host.
    #[arg(long)]
    allow_remote: bool,
}

#[derive(Args)]
struct Brokers {
    /// A broker: NAME:(enp|nats|redis)@ADDRESS:PORT#PID. The first is held against the others.
    #[arg(long, required = true)]
    broker: Vec<Broker>,
    /// Subscribers of one event.
    #[arg(long, default_value_t = 10_000)]
    subscribers: usize,
    /// Events published to all of them.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Events published to one subscriber in another process.
    #[arg(long, default_value_t = 2000)]
    singles: usize,
    /// Events published without pause.
    #[arg(long, default_value_t = 1_000_000)]
    flood: usize,
    /// Write a results folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    ens::output::end_when_nobody_reads();
    let outcome = match Cli::parse().command {
        Command::Idle(idle) => run(&idle),
        Command::Soak(args) => soak(&args),
        Command::Hostile(args) => attack(&args),
        Command::Users {
            count,
            pattern,
            password,
            scheme,
        } => (0..count)
            .try_for_each(|number| {
                let name = plan::user(&pattern, number);
                println!("{name}:{}", scheme.entry(&name, &password)?);
                Ok(())
            })
            .map(|()| true),
        Command::Issuer { password } => {
            print!("{}", Issuer::new(&password).public_key());
            Ok(true)
        }
        Command::Shake(args) => shake::run(&args).map(|rate| {
            println!("{rate:.0}");
            true
        }),
        Command::Verify(args) => {
            println!("{}", verify::run(&args));
            Ok(true)
        }
        Command::Brokers(brokers) => compare(&brokers).map(|()| true),
        Command::Plot {
            measure,
            out,
            curves,
        } => curves::draw(&out, &measure, &curves)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Chart { out, chart } => chart::draw(&out, &chart)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Machine => {
            println!("{}", report::machine());
            Ok(true)
        }
        Command::Listen { broker, count } => listener::listen(&broker, count)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Sendloop { connections } => sendloop::serve(connections)
            .map(|()| true)
            .map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::from(2)
        }
    }
}

/// Gives whether the oracle found no fault.
fn run(idle: &Idle) -> Result<bool, String> {
    let study = study(idle)?;
    let findings = study.run().map_err(|error| error.to_string())?;
    println!("{}", report::table(&study, &findings));
    if let Some(folder) = &idle.out {
        report::write(folder, &study, &findings)
            .map_err(|error| format!("can't write {}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    for text in &findings.faults.texts {
        eprintln!("loadgen: {text}");
    }
    let faults = findings.faults.total();
    if faults > 0 {
        eprintln!("loadgen: {faults} faults: the server missed, doubled or disordered news");
    }
    Ok(faults == 0)
}

/// Gives whether the oracle found no fault.
fn soak(args: &soak::args::Args) -> Result<bool, String> {
    let [imap, lmtp] = [&args.imap, &args.lmtp].map(|text| address(text, args.allow_remote));
    let plan = args.plan(imap?, lmtp?)?;
    let findings = plan.run().map_err(|error| error.to_string())?;
    println!("{}", soak::report::table(&plan, &findings));
    if let Some(folder) = &args.out {
        soak::report::write(folder, &plan, &findings)
            .map_err(|error| format!("can't write {}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    for text in &findings.faults.texts {
        eprintln!("loadgen: {text}");
    }
    Ok(findings.faults.total() == 0)
}

/// Attacks; gives whether the oracle found no fault.
fn attack(args: &hostile::args::Args) -> Result<bool, String> {
    let to = |text: &String| address(text, args.allow_remote);
    let ens = args.ens.as_ref().map(to).transpose()?;
    let plan = args.plan(to(&args.imap)?, to(&args.lmtp)?, ens)?;
    let mut found = Vec::new();
    for attack in args.attacks() {
        eprintln!("{attack} ...");
        found.push(plan.run(attack)?);
    }
    println!(
        "{}\n\n{}",
        hostile::report::table(&found),
        hostile::report::notes(&found)
    );
    if let Some(folder) = &args.out {
        hostile::report::write(folder, &plan, &found)
            .map_err(|error| format!("can't write {}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    let faults: u64 = found.iter().map(|one| one.faults.total()).sum();
    let refusals = found.iter().flat_map(|one| one.measures.refusals.values());
    let idle: Vec<_> = found.iter().filter(|one| one.did_nothing()).collect();
    for one in &idle {
        eprintln!("loadgen: {} did not attack: {}", one.attack, one.outcome);
    }
    Ok(faults == 0 && idle.is_empty() && !(args.is_strict() && refusals.sum::<u64>() > 0))
}

/// Measures one broker after the other.
fn compare(brokers: &Brokers) -> Result<(), String> {
    let plan = Plan {
        subscribers: brokers.subscribers,
        rounds: brokers.rounds,
        singles: brokers.singles,
        flood: brokers.flood,
    };
    let mut found = Vec::new();
    for broker in &brokers.broker {
        eprintln!("{} ...", broker.name);
        let one = measures::measure(broker, &plan);
        found.push(one.map_err(|error| format!("{}: {error}", broker.name))?);
    }
    let table = brokers::report::table(&found);
    println!("{table}");
    if let Some(folder) = &brokers.out {
        let report = report::Report {
            title: brokers::report::title(&plan),
            body: format!("{table}\n\n{}", brokers::report::NOTES),
            histograms: brokers::report::histograms(&found),
        };
        report
            .write(folder)
            .map_err(|error| format!("can't write {}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    Ok(())
}

fn study(idle: &Idle) -> Result<Study, String> {
    if idle.storm.contains(&StormKind::Restart) && idle.restart_command.is_none() {
        return Err("--storm restart needs a --restart-command".into());
    }
    if idle.sessions == 0 || idle.rate <= 0.0 || idle.setup_concurrency == 0 {
        return Err("--sessions, --rate and --setup-concurrency must be above 0".into());
    }
    Ok(Study {
        imap: address(&idle.imap, idle.allow_remote)?,
        lmtp: address(&idle.lmtp, idle.allow_remote)?,
        sessions: idle.sessions,
        mailboxes: idle.mailboxes,
        users: idle.users.clone(),
        password: idle.password.clone(),
        auth: idle.auth,
        security: idle.tls,
        recipients: idle.recipients.as_ref().unwrap_or(&idle.users).clone(),
        deliveries: idle.deliveries,
        rate: idle.rate,
        burst_s: idle.burst_seconds,
        lmtp_connections: idle.lmtp_connections,
        message_bytes: idle.message_bytes,
        setup_concurrency: idle.setup_concurrency,
        idle_s: idle.idle_seconds,
        sweep_recipients: idle.sweep,
        reconnecting: idle.reconnecting,
        reconnect_rounds: idle.reconnect_rounds,
        storms: idle.storm.clone(),
        restart_command: idle.restart_command.clone(),
        statistics: idle.server_statistics.clone(),
        plain_file: idle.plain_file.clone(),
        sendloop_rounds: idle.baseline_sendloop,
        server: Server {
            pids: idle.server_pid.clone(),
            pid_files: idle.server_pid_file.clone(),
            trees: idle.server_tree.clone(),
        },
        patience_s: idle.patience_seconds,
        settle_s: idle.settle_seconds,
        seed: idle.seed,
        progress: std::io::stderr().is_terminal(),
    })
}

fn address(text: &str, allow_remote: bool) -> Result<SocketAddr, String> {
    let address = text
        .to_socket_addrs()
        .map_err(|error| format!("{text}: {error}; give HOST:PORT"))?
        .next()
        .ok_or_else(|| format!("{text}: no such host"))?;
    if !address.ip().is_loopback() && !allow_remote {
        return Err(format!(
            "{text} is another host; --allow-remote says that it may be loaded"
        ));
    }
    Ok(address)
}
