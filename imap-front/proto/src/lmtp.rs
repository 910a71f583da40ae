//! LMTP (RFC 2033) as a machine.
