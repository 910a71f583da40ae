//! A message's MIME structure with byte offsets, and its envelope (RFC 3501 §7.4.2).

/// The structure of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {}
