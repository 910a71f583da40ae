//! The messages of a burst: each says in its subject who it is, and its body follows from that.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The largest number of lines in a body.
const LINES_MAX: u64 = 300;

/// A message that carries `id`, with CRLF line ends; no line begins with a dot.
pub fn text(id: &str) -> String {
    format!(
        "From: Burst <burst@ensign.test>\r\nTo: undisclosed-recipients:;\r\nSubject: {id}\r\n\
         Message-ID: <{id}@ensign.test>\r\nDate: Mon, 7 Feb 2006 21:52:25 -0800\r\n\r\n{}",
        body(id)
    )
}

/// Whether a message, as it is read back, has the whole body that belongs to its subject.
pub fn is_whole(text: &str) -> bool {
    let Some((header, found)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let subject = header
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "));
    subject.is_some_and(|id| found == body(id))
}

/// A body whose length and words follow from `id`.
fn body(id: &str) -> String {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let seed = hasher.finish();
    let mut body = String::new();
    for line in 0..=seed % LINES_MAX {
        let word = seed.rotate_left((line % 64) as u32) ^ line;
        body.push_str(&format!("line {line} of {id} {word:016x}\r\n"));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::{is_whole, text};

    #[test]
    fn a_message_is_whole_until_a_byte_is_missing() {
        let message = text("r1w2n3");
        assert!(is_whole(&format!("Received: from somewhere\r\n{message}")));
        assert!(!is_whole(&message[..message.len() - 1]));
        assert!(!is_whole(&message.replace("r1w2n3 ", "r1w2n4 ")));
        assert!(!is_whole(""));
    }
}
