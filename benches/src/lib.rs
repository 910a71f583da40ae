//! Criterion benches of the hot paths, one flat file each below `benches/`: `commands` (what
//! clients send), `parked` (what an event costs an idling session), `fanout` (one buffer to many
//! sockets, beside a bare loop), `store` (durable appends, beside a plain file).
//!
//! `cargo bench -p benches` measures; `cargo test -p benches` runs each once.
