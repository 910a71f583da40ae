//! Many clients, an oracle, honest latency.
//!
//! In reading order: [`plan`] (what is to happen, from a seed), [`client`] and [`deliverer`] (the
//! machines that speak IMAP and LMTP), [`login`], [`issuer`] and [`users`] (how clients say who
//! they are, and who they are), [`link`] (TLS under them), [`oracle`] (what every session must have
//! heard), [`fleet`] (machines on a reactor), [`study`] (the phases of a run), [`sendloop`] (what
//! the kernel alone takes), [`measure`] (clock, memory, CPU, histograms), [`processes`] (who the
//! server is), [`account`] (what everybody takes), [`progress`], [`report`] (tables, files, plots),
//! [`simulate`] (the whole server in a deterministic world), [`soak`] (sessions that come, act and
//! go for hours), [`verify`] and [`shake`] (what a password and a handshake cost a server),
//! [`hostile`] (attacks beside a quiet population), [`active`] (what a client that has
//! woken up asks for), [`wire`] (the connection of both), [`brokers`] (publish/subscribe brokers
//! side by side), [`site`] (brokers of several hosts that are one site), [`arguments`] (the command
//! line).
//!
//! Machines and oracle know no sockets: they run against the kernel and in a simulated world alike.

pub mod account;
pub mod active;
pub mod arguments;
pub mod batches;
pub mod brokers;
pub mod client;
pub mod deliverer;
pub mod fleet;
pub mod hostile;
pub mod issuer;
pub mod link;
pub mod login;
pub mod measure;
pub mod oracle;
pub mod plan;
pub mod processes;
pub mod progress;
pub mod report;
pub mod sendloop;
pub mod shake;
pub mod simulate;
pub mod site;
pub mod soak;
pub mod study;
pub mod users;
pub mod verify;
pub mod wire;
