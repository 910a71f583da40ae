//! Configuration, users and passwords, and what the administrator's commands do.
//!
//! In reading order: [`base`] (the base directory and what lies where), [`files`] (locked, atomic
//! writes), [`lines`] (files of lines and their editing), [`config`] (`msg.conf` over
//! `msg.conf.defaults` over the table of options), [`users`] (the user directory), [`password`]
//! (hashing, verification, the cache of verified passwords), [`privacy`] (modes of files),
//! [`service`] (starting, stopping, refreshing and watching services), [`idle`] (what IDLE needs),
//! [`installation`] (what a base directory needs besides programs), [`command`] (what the command
//! lines have in common), [`arguments`] (the command lines),
//! [`hosts`] (on which of several hosts a user's mail is, for proxies).
//! [`status`] is what the running server has in force, [`tools`] are those that ask it.
//!
//! Invariants: passwords and hashes are never logged or printed; a file is written whole or not at
//! all; everything here blocks, so the server calls the slow parts on blocking threads.

pub mod arguments;
pub mod base;
pub mod command;
pub mod config;
pub mod files;
pub mod hosts;
pub mod idle;
pub mod installation;
pub mod lines;
pub mod password;
pub mod privacy;
pub mod service;
pub mod service_user;
pub mod status;
pub mod tools;
pub mod users;

pub use base::Base;
pub use config::Config;
pub use users::Users;
