//! What is answered.

use std::sync::atomic::Ordering;

use monitor::http::{Answer, Method, Refused, Request};
use monitor::page::{FILES, HTML};
use monitor::sample::{OPENMETRICS, openmetrics};

use super::Inside;
use super::status::Pulse;

/// A path that there is none of, among metrics.
const OTHER: &str = "other";
const PATHS: [&str; 8] = [
    "/",
    EVENTS,
    "/healthz",
    "/icon.svg",
    "/metrics",
    "/page.js",
    "/readyz",
    "/style.css",
];
/// What never ends.
const EVENTS: &str = "/events";

/// What a client is told.
pub(super) enum Told {
    /// Once.
    Answer(Answer),
    /// This, and more each second.
    Events(Vec<u8>),
}

impl Told {
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Answer(answer) => answer.code,
            Self::Events(_) => 200,
        }
    }
}

impl Inside {
    /// The answer to a request, and its path as it is counted. `streams`: whether one more client
    /// may be told something each second.
    pub(super) fn answer(
        &self,
        request: &Request,
        pulse: &mut Pulse,
        streams: bool,
    ) -> (Told, &'static str) {
        let known = PATHS.into_iter().find(|path| *path == request.path);
        let path = known.unwrap_or(OTHER);
        let answer = match self.access.load().check(request) {
            Ok(()) if path == EVENTS && request.method == Method::Get && streams => {
                return (Told::Events(pulse.whole_event(self)), path);
            }
            Ok(()) if path == EVENTS && !streams => Answer::of(503, "too many look already"),
            Ok(()) => self.of_path(path, pulse),
            Err(Refused::Token) => Answer::of(401, "the token is missing or wrong"),
            Err(Refused::Host) => Answer::of(403, "ask for localhost"),
        };
        (Told::Answer(answer), path)
    }

    fn of_path(&self, path: &'static str, pulse: &Pulse) -> Answer {
        if let Some((_, kind, text)) = FILES.into_iter().find(|(name, ..)| *name == path) {
            return Answer::good(kind, text);
        }
        match path {
            "/" => Answer::good(HTML, pulse.page(self)),
            EVENTS => Answer::good("text/event-stream", ""),
            "/metrics" => Answer::good(OPENMETRICS, openmetrics(self.measured.samples())),
            "/healthz" => Answer::of(200, "alive"),
            "/readyz" => match self.not_ready() {
                None => Answer::of(200, "ready"),
                Some(why) => Answer::of(503, why),
            },
            _ => Answer::of(404, "there is no such page"),
        }
    }

    /// Why mail can't be served, if it can't.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        let measured = &self.measured;
        if self.is_stopping.load(Ordering::SeqCst) {
            Some("the server stops")
        } else if measured.store.has_failed() || measured.store.is_closed() {
            Some("the store takes nothing")
        } else if measured.shards().any(|id| measured.handle.has_ended(id)) {
            Some("a shard has ended")
        } else {
            None
        }
    }
}
