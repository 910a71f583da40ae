//! Messages to be sorted and threaded, and how.

use bytes::Bytes;
use mail::request::Arrange;
use mail::sort::{Criterion, SortField};
use mail::thread::Algorithm;

use super::body;

/// Choices, still as numbers to be taken modulo what there is.
#[derive(Clone, Copy)]
pub struct Picks {
    pub name: usize,
    pub other: usize,
    pub size: usize,
    pub on: bool,
}

/// A message with a header, of which much is the same in others.
pub fn headed(number: u64, step: Picks) -> Bytes {
    let pick = |of: &[&str], by: usize| of[by % of.len()].to_owned();
    let (name, other) = (step.name, step.other);
    let mut header = format!(
        "From: {}\r\nMessage-ID: <{}@x>\r\n",
        pick(&["ann@x", "Bob <zoe@x>", "ann@y"], name),
        number % 7
    );
    if step.on {
        header += &format!("Date: {} Jan 2001 00:00:00 +0000\r\n", 1 + name);
    }
    if other > 3 {
        header += &format!("References: <{}@x> <{}@x>\r\n", other, name);
    }
    let subject = pick(&["Re: ", "", "fwd: "], other) + &pick(&["a", "B", "a (fwd)"], name);
    header += &format!("Subject: {subject}\r\n");
    [header.as_bytes(), &body(number, step.size)[..]]
        .concat()
        .into()
}

/// How what is found is arranged, if it is.
pub fn arrange(step: Picks) -> Option<Arrange> {
    let by = |field, reverse| Criterion { field, reverse };
    Some(match step.name {
        0 => Arrange::Thread(Algorithm::References),
        1 => Arrange::Thread(Algorithm::Refs),
        2 => Arrange::Thread(Algorithm::OrderedSubject),
        3 => Arrange::Sort([by(SortField::Subject, step.on), by(SortField::Date, false)].into()),
        4 => Arrange::Sort([by(SortField::From, false), by(SortField::Size, step.on)].into()),
        5 => Arrange::Sort([by(SortField::DisplayFrom, step.on)].into()),
        6 => Arrange::Sort([by(SortField::Date, step.on)].into()),
        _ => return None,
    })
}
