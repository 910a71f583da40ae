//! What `apub` and `asub` have in common.

/// Their arguments: `[--json] [--event REFERENCE] HOST PORT`.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Where the broker is; a path is a Unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is published, or wanted.
    pub event: String,
    /// Output for programs.
    pub json: bool,
}

impl Arguments {
    /// Reads them; none if they are wrong.
    pub fn parse(arguments: impl IntoIterator<Item = String>, event: &str) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let (mut json, mut event, mut rest) = (false, event.to_owned(), Vec::new());
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => json = true,
                "--event" => event = arguments.next()?,
                flag if flag.starts_with('-') => return None,
                _ => rest.push(argument),
            }
        }
        let [host, port] = <[String; 2]>::try_from(rest).ok()?;
        let port = port.parse().ok()?;
        Some(Self {
            host,
            port,
            event,
            json,
        })
    }
}

/// An event as a line of JSON. A payload that is no text stands there byte by byte.
pub fn json(event: &str, payload: &[u8]) -> String {
    let payload = match std::str::from_utf8(payload) {
        Ok(text) => serde_json::json!(text),
        Err(_) => serde_json::json!(payload),
    };
    serde_json::json!({ "event": event, "payload": payload }).to_string()
}
