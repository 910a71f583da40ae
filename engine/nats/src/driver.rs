//! What the connection is for.

use bytes::Bytes;

/// Decides what is said. It lives on the connection's thread, and must not wait for anything.
pub trait Driver: Send + 'static {
    /// Something has happened, or it was woken, or its time has come.
    fn news(&mut self, news: News);
    /// What is to be done now. Not asked while earlier orders wait for the connection.
    fn orders(&mut self) -> Vec<Order>;
    /// How long it can be left alone, in nanoseconds.
    fn idle_ns(&self) -> u64;
    /// Whether all is done: what was ordered is sent, and the connection ends.
    fn is_over(&self) -> bool;
}

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// There is a connection.
    Connected {
        /// To whom.
        server: String,
        /// Bytes that a message may have.
        message_bytes_max: usize,
    },
    /// There is none any more.
    Disconnected,
    /// Messages were dropped: more had come at a time than may wait. Which they were nobody knows.
    Dropped {
        /// How many, as far as that is known.
        messages: u64,
    },
    /// Why there is no connection, or what a server had to complain of.
    Trouble(String),
    /// All messages that have come since the last ones.
    Messages(Vec<Message>),
    /// It was woken, or its time has come.
    Look,
}

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// What it says.
    pub payload: Bytes,
    /// It is the server's word that nobody is there for a message whose reply is this subject.
    pub nobody: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Messages of a subject are wanted.
    Subscribe {
        /// It.
        subject: String,
    },
    /// They are wanted no more. What is under way may come or not.
    Unsubscribe(String),
    /// A message is to be sent.
    Publish {
        /// To whom.
        subject: String,
        /// Where an answer goes.
        reply: Option<String>,
        /// It.
        payload: Bytes,
    },
}
