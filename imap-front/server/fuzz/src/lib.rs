//! Fuzzing: the bodies lie in the server, whose questions are its own.

#[cfg(fuzzing)]
pub use server::admin_socket::fuzzing as targets;
