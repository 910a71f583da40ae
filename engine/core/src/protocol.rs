//! What a shard hosts: the engine moves rows, topics, events and shared buffers; a protocol says
//! what bytes mean.

mod never;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
pub use tls::Channel;

use crate::event::{Event, SessionId};
use crate::stats::Reason;
use crate::topic::TopicId;
use crate::watches::{Beside, Mark};

pub use never::{NeverParked, NeverParks};

/// What a shard hosts: both halves. One value lives on each shard and is only touched by it.
pub trait Protocol: Parking {}

impl<P: Parking> Protocol for P {}

/// The half that serves active sessions: `open` makes one, `handle_*` tell it what happened. The
/// listener on which a connection comes says which kind of session `open` makes. Sessions act
/// through the [`Context`] they are given.
pub trait Active {
    /// An active session, boxed by the shard.
    type Session;
    /// What an event says.
    type Fact: Send + Sync + 'static;
    /// What the slow parts of the system answer (store, authentication).
    type Reply: Send + 'static;

    /// Whether [`Context::peer`] is wanted for connections of a listener. It costs system calls.
    fn needs_peer(&self, listener: u8) -> bool {
        let _ = listener;
        false
    }
    /// Whether there is a place for one more connection of a listener, besides the limits for all
    /// of them together. If so it is taken: `open` follows, and [`Active::handle_gone`] at its end.
    fn admits(&mut self, listener: u8) -> bool {
        let _ = listener;
        true
    }
    /// What a connection of a listener is told for which there is no place, before it is closed.
    fn refusal(&self, listener: u8) -> Option<Bytes> {
        let _ = listener;
        None
    }
    /// A connection was accepted on a listener.
    fn open(&mut self, cx: &mut Context<'_, Self::Reply>, listener: u8) -> Self::Session;
    /// Whether the client of a session is to be asked for a certificate in its TLS handshake.
    fn asks_certificate(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }
    /// The TLS handshake is over: what it has shown.
    fn handle_channel(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        channel: &Channel,
    ) {
        let _ = (session, cx, channel);
    }
    /// Bytes arrived.
    fn handle_input(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        bytes: &[u8],
    );
    /// An answer to something the session asked, see [`crate::runtime`] for how it gets here.
    fn handle_reply(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        reply: Self::Reply,
    );
    /// An answer for a session that has left: [`Context::id`] is what it was. Only posts and
    /// messages have an effect.
    fn handle_late_reply(&mut self, cx: &mut Context<'_, Self::Reply>, reply: Self::Reply) {
        let _ = (cx, reply);
    }
    /// Something for the shard itself, from [`Context::message`] on any shard or from a
    /// [`crate::Handle`]. There is no session; only posts and messages have an effect.
    fn handle_message(&mut self, cx: &mut Context<'_, Self::Reply>, message: Self::Reply) {
        let _ = (cx, message);
    }
    /// A [`Context::post`] found too much waiting for its session and was dropped. The session's
    /// [`Active::handle_stale`] is called once it has taken what waits; posts until then are
    /// dropped too, and each comes here. So do posts to a session that is being closed, and what
    /// the kernel had not taken of a connection that ends.
    fn handle_dropped(&mut self, id: SessionId) {
        let _ = id;
    }
    /// The topic of [`Context::watch`] is being watched: no event from now on is missed.
    fn handle_watching(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>);
    /// The watched topic went on without this session being told: it must catch up by itself.
    fn handle_stale(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>);
    /// Whether an event concerns a session by a further watch of it, as far as the watch tells;
    /// moves its cursor.
    fn concerns(&mut self, mark: &mut Mark, event: &Event<Self::Fact>) -> bool {
        let _ = (mark, event);
        false
    }
    /// An event that concerns the session by a further watch with these bits. It may have something
    /// to send, or be in the middle of something.
    fn handle_further(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        event: &Event<Self::Fact>,
        bits: u8,
    ) {
        let _ = (session, cx, event, bits);
    }
    /// All further watches of [`Context::watch_further`] are in place: no event from now on is
    /// missed. These were not there when this was called last.
    fn handle_further_watching(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        fresh: &[TopicId],
    ) {
        let _ = (session, cx, fresh);
    }
    /// These topics went on without this session being told.
    fn handle_further_stale(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Reply>,
        missed: &[(TopicId, Mark)],
    ) {
        let _ = (session, cx, missed);
    }
    /// All output has left.
    fn handle_drained(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>);
    /// The deadline of [`Context::deadline`] has come.
    fn handle_deadline(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>);
    /// The server is stopping: say good-bye and close.
    fn handle_shutdown(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>);
    /// A [`crate::Handle::review`] begins: every session is asked about, some a turn. One that
    /// began while another was under way goes on from the first session.
    fn begin_review(&mut self) {}
    /// Whether an active session must end.
    fn must_end(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }
    /// This session must end: say good-bye and close.
    fn handle_must_end(&mut self, session: &mut Self::Session, cx: &mut Context<'_, Self::Reply>) {
        let _ = session;
        cx.close();
    }
    /// All sessions were asked about.
    fn end_review(&mut self) {}
    /// Called once a turn; only posts and messages have an effect. True if something waits for the
    /// slow parts of the system to take more requests: the shard looks again soon, even if nothing
    /// happens.
    fn handle_turn(&mut self, cx: &mut Context<'_, Self::Reply>) -> bool {
        let _ = cx;
        false
    }
    /// Bytes that all sessions keep here, besides what they have given to the shard: they count
    /// with that into [`crate::Limits::output_bytes_max`].
    fn held_bytes(&self) -> usize {
        0
    }
    /// Something took longer than [`crate::Limits::stall_ns`]: the last call of a session, or if
    /// there is none, what `name` says.
    fn handle_stall(&mut self, session: Option<&Self::Session>, name: &'static str, ns: u64) {
        let _ = (session, name, ns);
    }
    /// Whether the slow parts of the system take more requests at the moment. While they don't,
    /// sessions that lost events are not told to catch up.
    fn takes_requests(&self) -> bool {
        true
    }
    /// Why the connection has ended of which the next call tells: [`Active::handle_closed`] or
    /// [`Parking::handle_parked_closed`].
    fn note_end(&mut self, why: Reason) {
        let _ = why;
    }
    /// What was wrong with the TLS of a connection that ends for it: the next call is
    /// [`Active::note_end`].
    fn note_failure(&mut self, failure: tls::Failure) {
        let _ = failure;
    }
    /// The connection is gone; the session is dropped after this.
    fn handle_closed(&mut self, session: &mut Self::Session, id: SessionId);

    /// The connection is gone, whether its session was active or parked. Only posts and
    /// messages have an effect.
    fn handle_gone(&mut self, cx: &mut Context<'_, Self::Reply>) {
        let _ = cx;
    }

    /// Whether an active session can go to another process as it is: nothing is under way, and it
    /// has nothing to say.
    fn rests(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }

    /// Whether sessions hear of things by posts ([`Context::post`]) and replies alone, and don't
    /// care when their output leaves: one that has some rests all the same.
    fn lives_on_posts(&self) -> bool {
        false
    }

    /// Whether a session that doesn't rest waits for an answer to what will be done in any case, so
    /// that its client would do it twice if it were told to leave: it is waited for.
    fn awaits_answer(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }

    /// Whether an active session wants to hear of news, through [`Active::handle_stale`], even
    /// while it can't be packed away. Others are caught up when they are.
    fn hears(&self, session: &Self::Session) -> bool {
        let _ = session;
        false
    }
}

/// The half that packs sessions away and serves them as rows: `announce`, `render*` and `cursor`
/// do so without waking a session. A host that packs nobody away says [`NeverParks`] instead.
pub trait Parking: Active {
    /// A parked session: the row keeps it by value, so it should be tens of bytes.
    type Parked: Copy;
    /// Names one rendering of an event: rows with equal keys get the same bytes.
    type Key: Copy + Eq;

    /// Packs the session away if its state allows. Asked whenever the session has nothing to send
    /// and nothing to do.
    fn park(&mut self, session: &Self::Session) -> Option<Self::Parked>;
    /// Inflates a parked session.
    fn unpark(&mut self, parked: Self::Parked, id: SessionId) -> Self::Session;
    /// The number up to which a parked session has been told, if it wants to hear of events.
    fn cursor(&self, parked: &Self::Parked) -> Option<u64>;
    /// How an event concerns a parked session; moves its cursor.
    fn announce(
        &mut self,
        parked: &mut Self::Parked,
        event: &Event<Self::Fact>,
    ) -> Announce<Self::Key>;
    /// The bytes of an announcement.
    fn render(&mut self, event: &Event<Self::Fact>, key: Self::Key) -> Bytes;
    /// The news of several events in as few bytes as possible, for a reader that was slow; moves
    /// the cursor. `None` if they can't be told without the session.
    fn render_many(
        &mut self,
        parked: &mut Self::Parked,
        events: &[Arc<Event<Self::Fact>>],
    ) -> Option<Bytes>;
    /// As [`Parking::announce`], by a further watch: moves its cursor. If the session is to hear of
    /// it by itself, [`Announce::Stale`]; then [`Active::handle_further`] follows.
    fn announce_further(
        &mut self,
        parked: &mut Self::Parked,
        beside: &Beside,
        mark: &mut Mark,
        event: &Event<Self::Fact>,
    ) -> Announce<u32> {
        let _ = (parked, beside, mark, event);
        Announce::Silent
    }
    /// The bytes of an announcement by a further watch.
    fn render_further(&mut self, event: &Event<Self::Fact>, key: u32) -> Bytes {
        let _ = (event, key);
        Bytes::new()
    }
    /// Follows [`Parking::unpark`] if the session has further watches: what it keeps beside them.
    fn unpark_beside(&mut self, session: &mut Self::Session, beside: &Beside) {
        let _ = (session, beside);
    }
    /// The deadline of a parked session has come.
    fn parked_deadline(&mut self, parked: &mut Self::Parked, now_ns: u64) -> Parked;
    /// The connection of a parked session is gone.
    fn handle_parked_closed(&mut self, parked: &Self::Parked, id: SessionId) {
        let _ = (parked, id);
    }
    /// What is looked at now, on the reactor's clock, after [`crate::Handle::visit`]: slots of this
    /// shard, few enough for one turn. None if nothing more was asked for; else [`Parking::visit`]
    /// follows for each session that is there, and [`Parking::end_visit`].
    fn next_visit(&mut self, now_ns: u64) -> Option<Range<u32>> {
        let _ = now_ns;
        None
    }
    /// Looks at a session. True if it is to end: [`Active::handle_must_end`] follows.
    fn visit(&mut self, id: SessionId, seen: Seen<'_, Self::Session, Self::Parked>) -> bool {
        let _ = (id, seen);
        false
    }
    /// All slots were looked at that were asked for; `slots` is how many there are.
    fn end_visit(&mut self, slots: u32) {
        let _ = slots;
    }
    /// Writes down a session that goes to another process; false if it can't, and is lost.
    fn hand_over(
        &mut self,
        id: SessionId,
        seen: Seen<'_, Self::Session, Self::Parked>,
        output: &mut Vec<u8>,
    ) -> bool {
        let _ = (id, seen, output);
        false
    }
    /// A session that another process has written down, under the same name; none if these are not
    /// its bytes. `secure` is whether it speaks TLS.
    fn take_over(
        &mut self,
        id: SessionId,
        secure: bool,
        bytes: &[u8],
    ) -> Option<TakenOver<Self::Session, Self::Parked>> {
        let _ = (id, secure, bytes);
        None
    }
    /// A parked session that was taken over has gone on in the other process meanwhile, and may
    /// come again: nothing of it counts.
    fn give_up(&mut self, id: SessionId, parked: &Self::Parked) {
        let _ = (id, parked);
    }
    /// All sessions of all shards were taken over, and this shard goes on.
    fn handle_taken_over(&mut self) {}
    /// Whether a parked session must end.
    fn must_end_parked(&self, parked: &Self::Parked) -> bool {
        let _ = parked;
        false
    }
}

/// A session that is looked at.
#[derive(Debug)]
pub enum Seen<'a, S, K> {
    /// It is active.
    Active(&'a S),
    /// It is packed away.
    Parked(&'a K),
}

/// A session that came from another process.
#[derive(Debug)]
pub enum TakenOver<S, K> {
    /// It is active.
    Active(S),
    /// It is packed away.
    Parked(K),
}

/// What an event means for a parked session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce<K> {
    /// Nothing to say.
    Silent,
    /// Send the rendering with this key.
    Send(K),
    /// Events were missed: unpark and call [`Active::handle_stale`].
    Stale,
}

/// What becomes of a parked session at its deadline.
#[derive(Clone, Debug)]
pub enum Parked {
    /// Nothing; the next deadline is then.
    Wait {
        /// On the reactor's clock.
        until_ns: u64,
    },
    /// These bytes are sent, and the next deadline is then.
    Send {
        /// The bytes.
        bytes: Bytes,
        /// On the reactor's clock.
        until_ns: u64,
    },
    /// It is unparked and [`Active::handle_deadline`] is called.
    Unpark,
}

/// Whether a connection is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// It is not, and may be.
    #[default]
    Possible,
    /// It is not, and there is no memory for it at the moment.
    Full,
    /// It is.
    Active,
}

/// What a session may do to its connection. The shard carries it out after the call.
pub struct Context<'a, R> {
    pub(crate) id: SessionId,
    pub(crate) now_ns: u64,
    pub(crate) peer: Option<SocketAddr>,
    /// Bytes that wait for the shard's clients.
    pub(crate) owed: usize,
    pub(crate) secure: bool,
    pub(crate) compression: Compression,
    pub(crate) effects: &'a mut Effects<R>,
}

/// What is to be watched beside the first topic; with nothing beside it, nothing.
type Further = (Option<Beside>, Vec<(TopicId, Mark)>);

/// What a call left to do.
pub struct Effects<R> {
    pub(crate) output: Vec<Bytes>,
    pub(crate) posts: Vec<(SessionId, Bytes)>,
    pub(crate) messages: Vec<(SessionId, R)>,
    pub(crate) watch: Option<Option<TopicId>>,
    pub(crate) further: Option<Further>,
    pub(crate) told: Vec<(TopicId, u16)>,
    pub(crate) deadline_ns: Option<u64>,
    pub(crate) reading: Option<bool>,
    pub(crate) acknowledge: bool,
    pub(crate) start_tls: bool,
    /// A handshake begins before all output of the call, with this input.
    pub(crate) begin_tls: Option<Vec<u8>>,
    /// The connection is compressed behind so many pieces of output, with this input; or with none
    /// no longer.
    pub(crate) compress: Option<(usize, Option<Vec<u8>>)>,
    pub(crate) close: bool,
}

impl<R> Default for Effects<R> {
    fn default() -> Self {
        Self {
            output: Vec::new(),
            posts: Vec::new(),
            messages: Vec::new(),
            watch: None,
            further: None,
            told: Vec::new(),
            deadline_ns: None,
            reading: None,
            acknowledge: false,
            start_tls: false,
            begin_tls: None,
            compress: None,
            close: false,
        }
    }
}

impl<R> Context<'_, R> {
    /// The connection.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The peer's address: in [`Active::open`], and if the listener needs it.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The reactor's clock.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Bytes that wait for all clients of this shard, as before this call.
    pub fn owed_bytes(&self) -> usize {
        self.owed
    }

    /// Whether the connection speaks TLS: all that comes, and what is sent from now on.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Begins a TLS handshake, as the server's side, behind what was sent until now. Input that
    /// came before must not be acted upon: whoever has some closes the connection instead.
    pub fn start_tls(&mut self) {
        self.effects.start_tls = true;
    }

    /// Begins a TLS handshake, as the server's side, on a connection to which nothing was sent in
    /// plain text. `input` came behind what was to be read before, and is the handshake's; what is
    /// sent in this call and later leaves sealed.
    pub fn begin_tls(&mut self, input: Vec<u8>) {
        self.secure = true;
        self.effects.begin_tls = Some(input);
    }

    /// Whether the connection is compressed, or may be.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Compresses what is sent from now on, and inflates what comes (RFC 1951). `input` came behind
    /// what asked for that, and is the beginning of the stream.
    pub fn compress(&mut self, input: Vec<u8>) {
        self.compression = Compression::Active;
        self.effects.compress = Some((self.effects.output.len(), Some(input)));
    }

    /// No longer compresses what is sent from now on, nor inflates what comes behind the words that
    /// were given last: [`crate::Limits::stream_ends`].
    pub fn end_compression(&mut self) {
        self.compression = Compression::Possible;
        self.effects.compress = Some((self.effects.output.len(), None));
    }

    /// Somebody whom the host trusts has told whose connection this is: for the rest of this call
    /// that is the peer.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    /// Sends bytes after those sent before.
    pub fn send(&mut self, bytes: Bytes) {
        self.effects.output.push(bytes);
    }

    /// Sends bytes to another session of this shard, in order with other posts to it. If too much
    /// waits for it already, the bytes are dropped: see [`Active::handle_dropped`].
    pub fn post(&mut self, to: SessionId, bytes: Bytes) {
        self.effects.posts.push((to, bytes));
    }

    /// Sends another shard a message, in order; or a session of it. While the other is behind, the
    /// session that sends is not read.
    pub fn message(&mut self, to: SessionId, message: R) {
        self.effects.messages.push((to, message));
    }

    /// Watches a topic, instead of any before; answered by [`Active::handle_watching`].
    pub fn watch(&mut self, topic: TopicId) {
        self.effects.watch = Some(Some(topic));
    }

    /// Watches nothing.
    pub fn unwatch(&mut self) {
        self.effects.watch = Some(None);
    }

    /// Watches these topics too, instead of any others beside the first; answered by
    /// [`Active::handle_further_watching`]. What was watched before keeps its cursor.
    pub fn watch_further(&mut self, beside: Beside, watches: Vec<(TopicId, Mark)>) {
        self.effects.further = Some((Some(beside), watches));
    }

    /// Watches nothing beside the first topic.
    pub fn unwatch_further(&mut self) {
        self.effects.further = Some((None, Vec::new()));
    }

    /// The session was told by other means what happened to a topic that it watches beside the
    /// first, up to this number.
    pub fn told(&mut self, topic: TopicId, seq: u64) {
        self.effects.told.push((topic, seq as u16));
    }

    /// Sets the session's one deadline, coarse to a second, active or parked.
    pub fn deadline(&mut self, at_ns: u64) {
        self.effects.deadline_ns = Some(at_ns);
    }

    /// Turns reading on or off.
    pub fn read(&mut self, on: bool) {
        self.effects.reading = Some(on);
    }

    /// Has what arrived acknowledged to the peer's kernel at once. For a peer that has sent a part
    /// and holds the rest back until it is (Nagle's algorithm), where there is nothing to answer.
    pub fn acknowledge_now(&mut self) {
        self.effects.acknowledge = true;
    }

    /// Closes once all output has left.
    pub fn close(&mut self) {
        self.effects.close = true;
    }
}
