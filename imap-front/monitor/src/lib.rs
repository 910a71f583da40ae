//! What a server tells of itself, without I/O and without knowing which server it is.
//!
//! In reading order: [`table`] (all metrics: name, kind, help), [`sample`] (what was found, and
//! OpenMetrics), [`http`] (requests, answers, who may look), [`page`] (the status page), [`docs`]
//! (the table for people).

pub mod docs;
pub mod http;
pub mod page;
pub mod sample;
pub mod table;
