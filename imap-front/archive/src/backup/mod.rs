//! Backups: their format is written down in `docs/backup-format.md`.

pub mod chain;
pub mod file;
pub mod order;
pub mod record;

mod code;
