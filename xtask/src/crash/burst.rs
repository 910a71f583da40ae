//! One burst: writers deliver and a session changes mailboxes until the server is killed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use fastrand::Rng;

use super::imap::Imap;
use super::ledger::{Delivery, Ledger};
use super::lmtp::{Lmtp, Outcome};
use super::{PASSWORD, message};
use crate::base::{Base, Ports};

/// LMTP connections at once.
const WRITERS: usize = 4;
/// At most so many deliveries are accepted before the kill.
const ACCEPTED_MAX: usize = 200;
/// How far behind the last counted acceptance the kill comes, at most.
const DELAY_MAX: Duration = Duration::from_millis(3);
/// The first acceptances must come within this time.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
/// One message in so many goes to two users at once.
const TWO_USERS_EVERY: u32 = 4;

/// What the writers heard.
#[derive(Default)]
pub struct Heard {
    /// Answered with 250.
    pub accepted: Vec<Delivery>,
    /// Sent, and the connection broke before the answer.
    pub in_doubt: Vec<Delivery>,
}

/// Delivers and changes things until a random number of deliveries was accepted; then kills the
/// server and returns what had been heard by then.
pub fn until_killed(
    base: &Base,
    ports: Ports,
    ledger: &mut Ledger,
    round: u32,
    rng: &mut Rng,
) -> Result<Heard> {
    let users = ledger.users();
    let ledger = Mutex::new(ledger);
    let killed = AtomicBool::new(false);
    let (accepted, count) = channel();
    let wanted = rng.usize(1..=ACCEPTED_MAX);
    let delay = DELAY_MAX.mul_f64(rng.f64());
    let seeds: Vec<Rng> = (0..=WRITERS).map(|_| rng.fork()).collect();
    let (writer_seeds, changer_seed) = seeds.split_at(WRITERS);
    thread::scope(|scope| {
        let mut writers = Vec::new();
        for (number, seed) in writer_seeds.iter().enumerate() {
            let sender = MailSender {
                name: format!("r{round}w{number}"),
                users: &users,
                rng: seed.clone(),
                accepted: accepted.clone(),
                heard: Heard::default(),
            };
            writers.push(scope.spawn(move || sender.run(ports.lmtp)));
        }
        // Only the writers' own ends keep the channel open: should all stop, waiting ends.
        drop(accepted);
        let rng = changer_seed[0].clone();
        let (users, ledger, over) = (&users, &ledger, &killed);
        let changer = scope.spawn(move || change(ports.imap, users, ledger, over, rng));
        let waited = wait_for(&count, wanted);
        spin(delay);
        killed.store(true, Ordering::SeqCst);
        let gone = base.kill();
        let mut heard = Heard::default();
        for writer in writers {
            let more = writer.join().map_err(|_| anyhow!("a writer panicked"))?;
            heard.accepted.extend(more.accepted);
            heard.in_doubt.extend(more.in_doubt);
        }
        changer
            .join()
            .map_err(|_| anyhow!("the changing session panicked"))??;
        waited?;
        gone.map(|()| heard)
    })
}

/// Waits until so many deliveries were accepted.
fn wait_for(count: &Receiver<()>, wanted: usize) -> Result<()> {
    for heard in 0..wanted {
        count
            .recv_timeout(FIRST_WITHIN)
            .with_context(|| format!("only {heard} of {wanted} deliveries were accepted"))?;
    }
    Ok(())
}

/// Waits without giving the core away, so that the kill lands between any two instructions.
fn spin(delay: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < delay {
        std::hint::spin_loop();
    }
}

struct MailSender<'a> {
    name: String,
    users: &'a [String],
    rng: Rng,
    accepted: Sender<()>,
    heard: Heard,
}

impl<'a> MailSender<'a> {
    /// Delivers over one connection until it breaks.
    fn run(mut self, server: SocketAddr) -> Heard {
        let Ok(mut lmtp) = Lmtp::connect(server) else {
            return self.heard;
        };
        for number in 0.. {
            let id = format!("{}n{number}", self.name);
            let to = self.recipients();
            let Ok(outcomes) = lmtp.deliver(&to, &message::text(&id)) else {
                break;
            };
            for (user, outcome) in to.iter().zip(&outcomes) {
                let delivery = ((*user).to_owned(), id.clone());
                match outcome {
                    Outcome::Accepted => {
                        self.heard.accepted.push(delivery);
                        // Nobody counts any more once the kill is under way.
                        let _ = self.accepted.send(());
                    }
                    Outcome::InDoubt => self.heard.in_doubt.push(delivery),
                    Outcome::Refused => {}
                }
            }
            if outcomes.contains(&Outcome::InDoubt) {
                break;
            }
        }
        self.heard
    }

    fn recipients(&mut self) -> Vec<&'a str> {
        let first = self.rng.usize(..self.users.len());
        let mut to = vec![self.users[first].as_str()];
        if self.rng.u32(..TWO_USERS_EVERY) == 0 {
            to.push(&self.users[(first + 1) % self.users.len()]);
        }
        to
    }
}

/// Looks at mailboxes, flags and expunges in them until the server is killed.
fn change(
    server: SocketAddr,
    users: &[String],
    ledger: &Mutex<&mut Ledger>,
    killed: &AtomicBool,
    mut rng: Rng,
) -> Result<()> {
    while !killed.load(Ordering::SeqCst) {
        let user = &users[rng.usize(..users.len())];
        let changed = change_one(server, user, ledger, &mut rng);
        match changed {
            Err(failure) if !killed.load(Ordering::SeqCst) => return Err(failure),
            Err(_) => {}
            Ok(complaints) if complaints.is_empty() => {}
            Ok(complaints) => bail!("while it ran: {}", complaints.join("\n")),
        }
    }
    Ok(())
}

/// One look at one mailbox: flags one message, and sometimes expunges the newest.
fn change_one(
    server: SocketAddr,
    user: &str,
    ledger: &Mutex<&mut Ledger>,
    rng: &mut Rng,
) -> Result<Vec<String>> {
    let ledger = || ledger.lock().expect("no holder panics");
    let mut imap = Imap::login(server, user, PASSWORD)?;
    let snapshot = imap.snapshot()?;
    let complaints = ledger().observe(user, &snapshot);
    if let Some(any) = rng.choice(&snapshot.messages) {
        imap.flag(any.uid)?;
        ledger().flagged(user, any.uid);
    }
    if let (true, Some(newest)) = (rng.u8(..4) == 0, snapshot.messages.last()) {
        ledger().leaving(user, newest.uid);
        imap.expunge(newest.uid)?;
        ledger().expunged(user, newest.uid);
    }
    Ok(complaints)
}
