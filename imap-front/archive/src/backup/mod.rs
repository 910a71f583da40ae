//! Backups: their format is written down in `docs/backup-format.md`.

pub mod besides;
pub mod chain;
pub mod checks;
pub mod file;
pub mod order;
pub mod record;

mod code;
