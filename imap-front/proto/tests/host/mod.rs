//! Two sessions of one user before the model of a store, as a shard would host them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail::reply::Challenge;
use mail::{MailboxId, News, Request, Uid};
use model::{Model, Scram};
use proto::imap::action::{Action, FurtherWatch};
use proto::imap::{
    Announce, Compression, Further, Parked, Session, SessionConfig, Spec, announce,
    announce_further, claim, concerns, render, render_further,
};

/// A session as a host keeps it.
#[allow(clippy::large_enum_variant, reason = "there are two")]
pub enum Kept {
    Active(Session),
    Parked(Parked),
}

/// A client's connection, its session packed away whenever it can be.
pub struct Client {
    pub kept: Option<Kept>,
    pub said: Vec<u8>,
    pub closed: bool,
    /// Its connection is compressed; here that changes no byte.
    pub compressed: bool,
    /// What it watches beside the selected mailbox.
    pub further: Vec<FurtherWatch>,
    pub spec: Option<Arc<Spec>>,
    /// Its next request that is not about news waits for its answer.
    pub holds: bool,
    pub held: Option<Request>,
}

pub struct World {
    pub config: Arc<SessionConfig>,
    pub model: Model,
    pub client: Client,
    pub other: Client,
}

impl World {
    pub fn new() -> Self {
        Self::with_config(SessionConfig::default())
    }

    /// The same, with a configuration of which limits, version and namespaces are set here.
    pub fn with_config(config: SessionConfig) -> Self {
        let mut model = Model::default();
        model.add_user("fred", "secret");
        model.add_scram(scram());
        let namespaces = mail::Namespaces::usual("public");
        model.set_namespaces(namespaces.clone());
        let config = Arc::new(SessionConfig {
            version: "1".into(),
            append_bytes_max: 2000,
            command_bytes_max: 1000,
            namespaces,
            ..config
        });
        let client = || Client {
            kept: Some(Kept::Active(Session::new(config.clone(), true))),
            said: vec![],
            closed: false,
            compressed: false,
            further: vec![],
            spec: None,
            holds: false,
            held: None,
        };
        let (client, other) = (client(), client());
        let mut world = Self {
            config,
            model,
            client,
            other,
        };
        world.with(false, |_| {});
        world.input(true, b"x LOGIN fred secret\r\n");
        world
    }

    /// Does something with a session and carries out what it asks.
    pub fn with(&mut self, other: bool, work: impl FnOnce(&mut Session)) {
        let client = if other {
            &mut self.other
        } else {
            &mut self.client
        };
        if client.closed {
            return;
        }
        let mut session = match client.kept.take().expect("it is put back") {
            Kept::Active(session) => session,
            Kept::Parked(parked) => {
                let mut session = Session::unpark(parked, self.config.clone());
                if client.compressed {
                    session.set_compression(Compression::Active);
                }
                if let Some(spec) = &client.spec {
                    session.unpark_beside(spec.clone());
                }
                session
            }
        };
        work(&mut session);
        let mut events = vec![];
        loop {
            let Some(action) = session.poll_action() else {
                session.handle_drained();
                match session.poll_action() {
                    Some(action) => {
                        perform(&mut self.model, client, &mut session, action, &mut events);
                        continue;
                    }
                    None => break,
                }
            };
            perform(&mut self.model, client, &mut session, action, &mut events);
        }
        client.kept = Some(match session.park() {
            Some(parked) => Kept::Parked(parked),
            None => Kept::Active(session),
        });
        for news in events {
            self.happened(!other, &news);
            self.happened_beside(other, &news);
            self.happened_beside(!other, &news);
        }
    }

    /// Tells a client that idles.
    fn happened(&mut self, other: bool, news: &News) {
        let Some(event) = news.event() else { return };
        let client = if other {
            &mut self.other
        } else {
            &mut self.client
        };
        match &mut client.kept {
            Some(Kept::Parked(parked)) if parked.mailbox == event.mailbox => {
                match announce(parked, event) {
                    Announce::Silent => {}
                    Announce::Line(key) => {
                        client.said.extend(render(event, key));
                        if let Some(below) = claim(parked, event) {
                            let mailbox = parked.mailbox;
                            self.model.handle(Request::Claim { mailbox, below });
                        }
                    }
                    Announce::Stale => self.with(other, Session::handle_stale),
                }
            }
            Some(Kept::Active(session)) if session.hears() => {
                self.with(other, Session::handle_stale);
            }
            _ => {}
        }
    }

    /// Tells a client what happened to what it watches beside its mailbox.
    fn happened_beside(&mut self, other: bool, news: &News) {
        let client = if other {
            &mut self.other
        } else {
            &mut self.client
        };
        let Some(bits) = bits_of(&mut client.further, news) else {
            return;
        };
        let Some(spec) = &client.spec else { return };
        let namespaces = &self.config.namespaces;
        match &mut client.kept {
            Some(Kept::Parked(parked)) => {
                match announce_further(parked, spec, (bits, news), namespaces) {
                    Further::Silent => {}
                    Further::Line(key) => client.said.extend(render_further(news, key)),
                    Further::Wake => self.with(other, |session| session.handle_further(news, bits)),
                }
            }
            Some(Kept::Active(_)) if concerns(bits, news) => {
                self.with(other, |session| session.handle_further(news, bits));
            }
            _ => {}
        }
    }

    pub fn input(&mut self, other: bool, bytes: &[u8]) {
        self.with(other, |session| session.handle_input(bytes));
    }

    pub fn other(&mut self, command: &str) {
        let before = self.other.said.len();
        let command = match command.split_once("<<") {
            Some((start, message)) => {
                let message = message.replace("\\r\\n", "\r\n");
                format!("{start}{{{}+}}\r\n{message}", message.len())
            }
            None => command.to_owned(),
        };
        self.input(true, format!("o {command}\r\n").as_bytes());
        let said = String::from_utf8_lossy(&self.other.said[before..]).into_owned();
        assert!(
            said.contains("\r\no OK") || said.starts_with("o OK"),
            "{command}: {said}"
        );
    }

    /// Has an administrator give a command, which must be done.
    fn admin(&mut self, command: &str) {
        self.model.add_user("root", "secret");
        self.model.add_admin("root");
        let mut session = Session::new(self.config.clone(), true);
        session.handle_input(format!("a LOGIN root secret\r\nb {command}\r\n").as_bytes());
        let (mut said, mut news) = (Vec::new(), Vec::new());
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(bytes) => {
                    said.extend_from_slice(&bytes);
                    session.handle_drained();
                }
                Action::Request(request) => {
                    let (reply, happened) = self.model.handle(request);
                    self.model.sync();
                    news.extend(self.model.news(happened));
                    session.handle_reply(reply);
                }
                _ => {}
            }
        }
        for news in news {
            self.happened_beside(false, &news);
            self.happened_beside(true, &news);
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("\r\nb OK"), "{command}: {said}");
    }

    pub fn host(&mut self, what: &str) {
        if what == "users" {
            for name in ["mary", "public"] {
                self.model.add_user(name, "secret");
            }
            return;
        }
        if let Some(name) = what.strip_prefix("submitter ") {
            return self.model.add_submitter(name);
        }
        if let Some(command) = what.strip_prefix("admin ") {
            return self.admin(command);
        }
        if what == "hold" {
            self.client.holds = true;
            return;
        }
        if what == "answer" {
            let Some(request) = self.client.held.take() else {
                panic!("nothing was asked");
            };
            let (reply, happened) = self.model.handle(request);
            self.model.sync();
            let events: Vec<News> = self.model.news(happened).into_iter().collect();
            self.with(false, |session| session.handle_reply(reply));
            return events.iter().for_each(|news| self.happened(true, news));
        }
        if let Some(reached) = what.strip_prefix("progress") {
            let reached = reached.trim().parse().ok().map(Uid);
            return self.with(false, |session| session.handle_progress(reached));
        }
        let scram_offered = self.config.scram.clone();
        self.with(false, |session| match what {
            "scram" => scram_offered.store(true, Ordering::Relaxed),
            "keepalive" => session.handle_keepalive(),
            "timeout" => session.handle_timeout(),
            "shutdown" => session.handle_shutdown("Server is stopping"),
            _ => panic!("what is {what:?}?"),
        });
    }

    pub fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.client.said)
    }
}

/// The bits by which news are watched, if they come after what was told.
fn bits_of(further: &mut [FurtherWatch], news: &News) -> Option<u8> {
    further.iter_mut().find_map(|watch| match (watch, news) {
        (FurtherWatch::Names(user), News::Name(change)) => (*user == change.user).then_some(0),
        (FurtherWatch::Mailbox(id, told, bits), News::Mailbox(event, _)) => {
            let is_new = *id == event.mailbox && event.seq > *told;
            is_new.then(|| {
                *told = event.seq;
                *bits
            })
        }
        _ => None,
    })
}

/// The exchange of RFC 7677 §3.
fn scram() -> Scram {
    let bytes = |text: &str| BASE64.decode(text).expect("base64").into();
    let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let whole = format!("rOprNGfwEbeRWgbNEkqO{nonce}");
    let salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
    let first = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    Scram {
        challenge: Challenge {
            salt: bytes(salt),
            iterations: 4096,
            nonce: nonce.into(),
        },
        user: "user".into(),
        auth_message: format!("{first},r={whole},s={salt},i=4096,c=biws,r={whole}").into(),
        proof: bytes("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        signature: bytes("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
    }
}

fn is_about_news(request: &Request) -> bool {
    matches!(request, Request::Sync { .. } | Request::View { .. })
}

fn perform(
    model: &mut Model,
    client: &mut Client,
    session: &mut Session,
    action: Action,
    events: &mut Vec<News>,
) {
    match action {
        Action::Send(bytes) => client.said.extend_from_slice(&bytes),
        Action::Request(request) if client.holds && !is_about_news(&request) => {
            client.holds = false;
            client.held = Some(request);
        }
        Action::Request(request) => {
            let (reply, happened) = model.handle(request);
            model.sync();
            events.extend(model.news(happened));
            session.handle_reply(reply);
        }
        Action::Claim(mailbox, below) => {
            model.handle(Request::Claim { mailbox, below });
        }
        Action::Watch(_) => session.handle_watching(),
        Action::WatchFurther(spec, mut watches) => {
            let id = |watch: &FurtherWatch| match watch {
                FurtherWatch::Mailbox(id, ..) => Some(*id),
                FurtherWatch::Names(_) => None,
            };
            let had: Vec<Option<MailboxId>> = client.further.iter().map(id).collect();
            for watch in &mut watches {
                if let Some(at) = had.iter().position(|it| it.is_some() && *it == id(watch))
                    && let (FurtherWatch::Mailbox(_, told, _), FurtherWatch::Mailbox(_, was, _)) =
                        (watch, &client.further[at])
                {
                    *told = *was;
                }
            }
            let fresh = watches.iter().filter_map(id);
            let fresh: Vec<MailboxId> = fresh.filter(|it| !had.contains(&Some(*it))).collect();
            (client.spec, client.further) = (Some(spec), watches);
            session.handle_further_watching(&fresh);
        }
        Action::UnwatchFurther => (client.spec, client.further) = (None, vec![]),
        Action::Told(mailbox, modseq) => {
            for watch in &mut client.further {
                if let FurtherWatch::Mailbox(id, told, _) = watch
                    && *id == mailbox
                {
                    *told = modseq;
                }
            }
        }
        Action::Compress(rest) => {
            client.compressed = true;
            session.handle_input(&rest);
        }
        Action::EndCompression => client.compressed = false,
        Action::Unwatch | Action::StartTls | Action::Forwarded(_) | Action::LoggedOut => {}
        Action::Close => client.closed = true,
    }
}
