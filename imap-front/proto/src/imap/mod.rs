//! IMAP
