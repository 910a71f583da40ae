//! A message's text as searches see it: decoded, in lower case.

use bytes::Bytes;
use mail_parser::{HeaderValue, Message, MessageParser, PartType};

use super::Day;
use crate::mime::header;

/// Nested messages looked into.
const DEPTH_MAX: usize = 8;

/// Header fields and text parts.
pub(super) struct Content {
    /// Name in lower case; text decoded, and as it stands.
    fields: Vec<(String, String)>,
    bodies: Vec<String>,
    sent: Option<Day>,
}

impl Content {
    pub(super) fn new(bytes: Bytes) -> Self {
        let mut content = Self {
            fields: Vec::new(),
            bodies: Vec::new(),
            sent: None,
        };
        let split = header::length(&bytes);
        for field in header::fields(&bytes[..split]) {
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            let text = String::from_utf8_lossy(&header::unfold(field.value)).to_lowercase();
            content.fields.push((name, text));
        }
        if let Some(message) = MessageParser::default().parse(&bytes[..]) {
            for field in message.headers() {
                let mut text = String::new();
                decoded(&field.value, &mut text);
                let name = field.name.as_str().to_ascii_lowercase();
                content.fields.push((name, text.to_lowercase()));
            }
            content.sent = message.date().and_then(|date| {
                day(
                    i64::from(date.year),
                    u32::from(date.month),
                    u32::from(date.day),
                )
            });
            content.add_bodies(&message, DEPTH_MAX);
        }
        content
    }

    fn add_bodies(&mut self, message: &Message<'_>, depth: usize) {
        for part in &message.parts {
            match &part.body {
                PartType::Text(text) | PartType::Html(text) => {
                    self.bodies.push(text.to_lowercase());
                }
                PartType::Message(nested) if depth > 0 => {
                    for field in nested.headers() {
                        let mut text = String::new();
                        decoded(&field.value, &mut text);
                        self.bodies.push(text.to_lowercase());
                    }
                    self.add_bodies(nested, depth - 1);
                }
                _ => {}
            }
        }
    }

    pub(super) fn header_contains(&self, name: &str, text: &str) -> bool {
        let (name, text) = (name.to_ascii_lowercase(), text.to_lowercase());
        self.fields
            .iter()
            .any(|(have, value)| *have == name && value.contains(&text))
    }

    pub(super) fn any_header_contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.fields.iter().any(|(name, value)| {
            value.contains(&text) || format!("{name}: {value}").contains(&text)
        })
    }

    pub(super) fn body_contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.bodies.iter().any(|body| body.contains(&text))
    }

    pub(super) fn sent(&self) -> Option<Day> {
        self.sent
    }
}

/// Appends the decoded text of a field.
fn decoded(value: &HeaderValue<'_>, text: &mut String) {
    match value {
        HeaderValue::Text(value) => text.push_str(value),
        HeaderValue::TextList(values) => text.push_str(&values.join(" ")),
        HeaderValue::Address(addresses) => {
            for address in addresses.iter() {
                text.push_str(address.name().unwrap_or_default());
                text.push_str(" <");
                text.push_str(address.address().unwrap_or_default());
                text.push_str("> ");
            }
        }
        _ => {}
    }
}

/// Days since 1970-01-01 of a date that a header gave.
fn day(year: i64, month: u32, day: u32) -> Option<Day> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    i32::try_from(days).ok().map(Day)
}
