//! What a structure takes in memory, for those who keep many.

use std::mem::size_of;

use super::{Address, Content, Envelope, Parameter, Part, Structure};

/// What the allocator takes for a piece besides its bytes.
const ALLOCATION_BYTES: usize = 16;

impl Structure {
    /// Bytes of memory that it takes, roughly. Its depth is bounded.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + envelope(&self.envelope) + part(&self.root)
    }
}

fn envelope(envelope: &Envelope) -> usize {
    let texts = [
        &envelope.date,
        &envelope.subject,
        &envelope.in_reply_to,
        &envelope.message_id,
    ];
    let lists = [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    let lists = lists.map(|list| list.iter().map(address).sum::<usize>());
    texts.map(optional).iter().chain(&lists).sum()
}

fn address(address: &Address) -> usize {
    let texts = [
        &address.name,
        &address.route,
        &address.mailbox,
        &address.host,
    ];
    size_of::<Address>() + texts.map(optional).iter().sum::<usize>()
}

fn part(of: &Part) -> usize {
    let texts = [&of.media_type, &of.subtype, &of.encoding];
    let optionals = [&of.id, &of.description, &of.md5, &of.location];
    let disposition = of.disposition.as_ref();
    let own = texts.map(|text| bytes(text)).iter().sum::<usize>()
        + optionals.map(optional).iter().sum::<usize>()
        + parameters(&of.parameters)
        + disposition.map_or(0, |(kind, list)| bytes(kind) + parameters(list))
        + of.language
            .iter()
            .map(|tag| size_of::<Vec<u8>>() + bytes(tag))
            .sum::<usize>();
    own + match &of.content {
        Content::Leaf => 0,
        Content::Multipart(parts) => parts
            .iter()
            .map(|child| size_of::<Part>() + part(child))
            .sum(),
        Content::Message(message) => message.memory_bytes(),
    }
}

fn parameters(list: &[Parameter]) -> usize {
    list.iter()
        .map(|(name, value)| size_of::<Parameter>() + bytes(name) + bytes(value))
        .sum()
}

fn optional(text: &Option<Vec<u8>>) -> usize {
    text.as_ref().map_or(0, |text| bytes(text))
}

fn bytes(text: &[u8]) -> usize {
    text.len() + ALLOCATION_BYTES
}
