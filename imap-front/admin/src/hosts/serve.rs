//! Answering on loopback: a few threads, of which each takes a client at a time, with a limit on
//! how long that may take. Others wait in the kernel.
#![expect(
    clippy::disallowed_methods,
    reason = "threads of a tool of its own wait for clients, by the machine's clock"
)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use monitor::http::{Answer, Method, Requests};

use super::answers::{Asked, Led, WANTED, answer};
use super::map::Hosts;
use crate::Users;
use crate::command;
use crate::lines::LinesError;
use crate::users::UsersError;

/// Clients that are served at a time.
const THREADS: usize = 8;
/// How long a client may take, from its first byte to the last of its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a thread waits after it could not take a client: there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of where users are.
pub struct Guide {
    map: Mutex<Known>,
    path: PathBuf,
    /// The users of this base, and its address, if they are asked for.
    here: Option<(Users, IpAddr)>,
    port: u16,
    ways: Vec<(IpAddr, SocketAddr)>,
    /// Why the users can't be read, as long as they can't: told once, and not to each who asks.
    trouble: Mutex<Option<String>>,
}

/// The map as it was last read in good order, and what its file looked like when it was last tried.
struct Known {
    hosts: Arc<Hosts>,
    stamp: Option<(u64, i64, i64, u64)>,
}

impl Guide {
    /// Reads the map; and the users, if those whom it doesn't name are at this address.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn new(
        path: PathBuf,
        here: Option<(PathBuf, IpAddr)>,
        port: u16,
        ways: Vec<(IpAddr, SocketAddr)>,
    ) -> Result<Self, UsersError> {
        let stamp = stamp(&path);
        let hosts = Arc::new(Hosts::read(&path)?);
        let here = here.map(|(users, address)| Ok::<_, UsersError>((Users::open(users)?, address)));
        Ok(Self {
            map: Mutex::new(Known { hosts, stamp }),
            path,
            here: here.transpose()?,
            port,
            ways,
            trouble: Mutex::default(),
        })
    }

    /// Where to lead whoever calls themselves that.
    pub fn lead(&self, name: &str) -> Led {
        let hosts = self.hosts();
        let to = |place| Led::to(place, self.port, &self.ways);
        if let Some(place) = hosts.find(name) {
            return to(place);
        }
        if let Some((users, address)) = &self.here {
            let found = users.find(name);
            self.note(found.as_ref().err());
            match found {
                Ok(Some(_)) => return to(super::Place::Host(*address)),
                Ok(None) => {}
                Err(_) => return Led::Unreadable,
            }
        }
        hosts.find_others(name).map_or(Led::Unknown, to)
    }

    /// Tells why the users can't be read, unless it was told. Gives whether it did.
    fn note(&self, error: Option<&UsersError>) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let error = error.map(ToString::to_string);
        let is_new = error.is_some() && *trouble != error;
        if let Some(error) = error.as_ref().filter(|_| is_new) {
            command::complain(format_args!("authhost: {error}"));
        }
        *trouble = error;
        is_new
    }

    /// The map as it is now; one that is out of order is told once, and used as it was.
    fn hosts(&self) -> Arc<Hosts> {
        let mut known = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != known.stamp {
            known.stamp = stamp;
            let read = match stamp {
                Some(_) => Hosts::read(&self.path),
                None => Err(LinesError::file(&self.path)(io::ErrorKind::NotFound.into())),
            };
            match read {
                Ok(hosts) => known.hosts = Arc::new(hosts),
                Err(error) => command::complain(format_args!(
                    "authhost: the map is used as it was before: {error}"
                )),
            }
        }
        known.hosts.clone()
    }
}

fn stamp(path: &std::path::Path) -> Option<(u64, i64, i64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
}

/// Answers until the process ends.
///
/// # Errors
/// If there are no threads to be had.
pub fn serve(listener: TcpListener, guide: Guide) -> io::Result<()> {
    let shared = Arc::new((listener, guide));
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let shared = shared.clone();
        let work = move || take(&shared.0, &shared.1);
        threads.push(thread::Builder::new().name("answers".into()).spawn(work)?);
    }
    for thread in threads {
        if thread.join().is_err() {
            return Err(io::Error::other("a thread that answers has panicked"));
        }
    }
    Ok(())
}

fn take(listener: &TcpListener, guide: &Guide) {
    loop {
        match listener.accept() {
            // Whoever breaks off gets no answer.
            Ok((stream, _)) => drop(talk(stream, guide)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// One request and its answer.
fn talk(mut stream: TcpStream, guide: &Guide) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        Some(left)
            .filter(|left| !left.is_zero())
            .ok_or(io::ErrorKind::TimedOut)
    };
    let mut requests = Requests::wanting(WANTED);
    let mut piece = [0; 1024];
    let request = loop {
        match requests.next_request() {
            Ok(Some(request)) => break Ok(request),
            Ok(None) => {}
            Err(fault) => break Err(fault.code()),
        }
        stream.set_read_timeout(Some(left()?))?;
        let room = requests.room().min(piece.len());
        match stream.read(&mut piece[..room])? {
            0 => return Ok(()),
            count => requests.feed(&piece[..count]),
        }
    };
    let said = match request {
        Ok(request) => answer(&Asked::of(&request), |name| guide.lead(name)).into_bytes(),
        Err(code) => {
            let refused = Answer::of(code, "authhost answers nginx's auth_http");
            refused.to_bytes(Method::Get, false, SystemTime::now())
        }
    };
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server, and the folder of its map.
    fn started(map: &str) -> (SocketAddr, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hosts"), map).unwrap();
        let guide = Guide::new(folder.path().join("hosts"), None, 143, vec![]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener, guide));
        (address, folder)
    }

    fn ask(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    fn of(name: &str) -> String {
        format!("GET / HTTP/1.0\r\nAuth-User: {name}\r\n\r\n")
    }

    #[test]
    fn the_map_counts_at_once_and_a_bad_one_not_at_all() {
        let (address, folder) = started("fred 192.0.2.11\n");
        let replace = |text: &str| {
            std::fs::write(folder.path().join("new"), text).unwrap();
            std::fs::rename(folder.path().join("new"), folder.path().join("hosts")).unwrap();
        };
        assert!(ask(address, &of("fred")).contains("Auth-Server: 192.0.2.11\r\n"));
        assert!(ask(address, &of("mary")).contains("Auth-Status: [AUTHENTICATIONFAILED]"));
        replace("fred 192.0.2.12\n");
        assert!(ask(address, &of("fred")).contains("Auth-Server: 192.0.2.12\r\n"));
        replace("fred nowhere\n");
        assert!(ask(address, &of("fred")).contains("Auth-Server: 192.0.2.12\r\n"));
        std::fs::remove_file(folder.path().join("hosts")).unwrap();
        assert!(ask(address, &of("fred")).contains("Auth-Server: 192.0.2.12\r\n"));
    }

    #[test]
    fn who_says_nothing_or_nonsense_holds_up_nobody_for_long() {
        let (address, _folder) = started("fred 192.0.2.11\n");
        let silent: Vec<_> = (0..THREADS)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let begun = Instant::now();
        assert!(ask(address, &of("fred")).contains("Auth-Server: 192.0.2.11\r\n"));
        assert!(begun.elapsed() < 3 * PATIENCE);
        drop(silent);
        assert!(ask(address, "* BAD\r\n\r\n").starts_with("HTTP/1.1 400 "));
        assert!(ask(address, &of("fred")).contains("Auth-Status: OK\r\n"));
    }

    #[test]
    fn what_is_wrong_with_the_users_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let guide = Guide::new(folder.path().join("hosts"), None, 143, vec![]).unwrap();
        let [one, other] = ["one", "other"].map(|why| UsersError::Refused(why.into()));
        let all = [
            Some(&one),
            Some(&one),
            Some(&other),
            None,
            None,
            Some(&other),
        ];
        let told = all.map(|error| guide.note(error));
        assert_eq!(told, [true, false, true, false, false, true]);
    }

    #[test]
    fn users_whom_the_map_does_not_name_may_be_here() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("hosts"), "fred 192.0.2.11\n* 192.0.2.12\n").unwrap();
        crate::users::add(&at("users"), "ann", b"secret", Default::default()).unwrap();
        let here = Some((at("users"), "192.0.2.10".parse().unwrap()));
        let guide = Guide::new(at("hosts"), here, 143, vec![]).unwrap();
        let to = |text: &str| Led::To(text.parse().unwrap());
        assert_eq!(guide.lead("ann"), to("192.0.2.10:143"));
        assert_eq!(guide.lead("fred"), to("192.0.2.11:143"));
        assert_eq!(guide.lead("mary"), to("192.0.2.12:143"));
    }
}
