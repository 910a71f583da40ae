//! `loadgen`: idles many IMAP clients, delivers mail, checks that each is told exactly once, and
//! reports how soon.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadgen::arguments::{Brokers, Cli, Command, Idle};
use loadgen::brokers::measures::{self, Plan};
use loadgen::brokers::{self, listener, natives};
use loadgen::issuer::Issuer;
use loadgen::plan;
use loadgen::processes::Server;
use loadgen::report::bars;
use loadgen::report::chart;
use loadgen::report::curves;
use loadgen::study::{StormKind, Study};
use loadgen::{active, hostile, report, sendloop, shake, site, soak, verify};

fn main() -> ExitCode {
    ens::output::end_when_nobody_reads();
    let outcome = match Cli::parse().command {
        Command::Idle(idle) => run(&idle),
        Command::Soak(args) => soak(&args),
        Command::Hostile(args) => attack(&args),
        Command::Active(args) => ask(&args),
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
        Command::Brokers(brokers) => match brokers.hosts {
            None => compare(&brokers).map(|()| true),
            Some(hosts) => across_hosts(&brokers, hosts),
        },
        Command::Site(args) => args.run().map_err(|error| error.to_string()),
        Command::Plot {
            measure,
            title,
            out,
            curves,
        } => curves::draw(
            &out,
            title.as_deref().unwrap_or(&measure),
            &measure,
            &curves,
        )
        .map(|()| true)
        .map_err(|error| error.to_string()),
        Command::Redraw { folders } => redraw(&folders),
        Command::Bars { out, bars } => bars::draw(&out, &bars)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Chart { out, chart } => chart::draw(&out, &chart)
            .map(|()| true)
            .map_err(|error| error.to_string()),
        Command::Machine => {
            println!("{}", report::machine());
            Ok(true)
        }
        Command::Listen {
            broker,
            count,
            library,
        } => match library {
            false => listener::listen(&broker, count),
            true => natives::listen(broker.address, count),
        }
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

fn redraw(folders: &[PathBuf]) -> Result<bool, String> {
    for folder in folders {
        let drawn = report::redraw::redraw(folder)
            .map_err(|error| format!("can't draw {}: {error}", folder.display()))?;
        println!("{}: {drawn} pictures", folder.display());
    }
    Ok(true)
}

/// Asks; gives whether all answers were right.
fn ask(args: &active::Args) -> Result<bool, String> {
    let found = args.run(address(&args.imap, args.allow_remote)?)?;
    println!("{}", active::report::table(&found));
    if let Some(folder) = &args.out {
        active::report::write(folder, args, &found)
            .map_err(|error| format!("can't write {}: {error}", folder.display()))?;
        println!("written to {}", folder.display());
    }
    for fault in found.faults() {
        eprintln!("loadgen: {fault}");
    }
    Ok(found.faults().next().is_none())
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

/// Measures a site. Bars that are missed are findings.
fn across_hosts(brokers: &Brokers, hosts: usize) -> Result<bool, String> {
    if hosts < 2 {
        return Err("a site has two hosts at least".into());
    }
    let study = site::study::Study {
        hosts,
        sizes: site::findings::Sizes {
            subscribers: brokers.subscribers,
            rounds: brokers.rounds,
            singles: brokers.singles,
            flood: brokers.flood,
            subscriptions: brokers.subscriptions,
            turns: brokers.turns,
        },
        enpd: brokers.enpd.clone(),
        nats: brokers.nats_server.clone(),
        before: brokers.before.clone(),
    };
    let done = study.run(brokers.out.as_deref());
    done.map(|()| true).map_err(|error| error.to_string())
}

fn study(idle: &Idle) -> Result<Study, String> {
    if idle.storm.contains(&StormKind::Restart) && idle.restart_command.is_none() {
        return Err("--storm restart needs a --restart-command".into());
    }
    if idle.sessions == 0 || idle.rate <= 0.0 || idle.setup_concurrency == 0 {
        return Err("--sessions, --rate and --setup-concurrency must be above 0".into());
    }
    let alone = idle.mailboxes == plan::Mailboxes::Each && idle.storm.is_empty();
    if idle.notify > 0 && (!alone || idle.reconnecting > 0) {
        return Err("--notify goes with mailboxes of each, without storms or reconnecting".into());
    }
    Ok(Study {
        notify: idle.notify,
        imap: address(&idle.imap, idle.allow_remote)?,
        lmtp: address(&idle.lmtp, idle.allow_remote)?,
        sessions: idle.sessions,
        mailboxes: idle.mailboxes,
        users: idle.users.clone(),
        password: idle.password.clone(),
        auth: idle.auth,
        pipelined: idle.pipeline,
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
