//! A server that says what it is to say.

use super::*;

/// A server that says all that it has to say at once.
struct Script {
    says: io::Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.says.read(into)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn remote(says: &str) -> Remote<Script> {
    let script = Script {
        says: io::Cursor::new(says.as_bytes().to_vec()),
        heard: vec![],
    };
    Remote::greeted(script, 1 << 20).unwrap()
}

#[test]
fn mail_is_listed_and_fetched() {
    let mut remote = remote(
        "* OK hi\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK done\r\n+ \r\na2 OK in\r\n\
         * NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) NIL\r\na3 OK done\r\n\
         * LIST (\\HasNoChildren) \".\" INBOX\r\n\
         * LIST (\\Sent \\HasNoChildren) \".\" INBOX.Entw&APw-rfe\r\n\
         * LIST (\\Noselect) \".\" {7}\r\nINBOX.a\r\n\
         * LIST () \".\" user.bob\r\na4 OK done\r\n\
         * FLAGS (\\Seen)\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 77] x\r\n* OK [UIDNEXT 9] x\r\n\
         a5 OK [READ-ONLY] done\r\n\
         * 1 FETCH (UID 3 FLAGS (\\Seen $Work \\Recent) RFC822.SIZE 5 INTERNALDATE \
         \"27-Nov-2026 10:00:00 +0100\" BODY[] {5}\r\na\r\nb\n)\r\n\
         * 2 FETCH (FLAGS (\\Seen))\r\na6 OK done\r\na7 NO none\r\n",
    );
    remote.log_in("bob", "secret", Some("root")).unwrap();
    let namespaces = remote.namespaces().unwrap();
    let listed = remote.list().unwrap();
    let names: Vec<_> = listed.iter().map(|it| namespaces.own(it)).collect();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        names,
        [named("INBOX"), named("Entw\u{fc}rfe"), named("a"), None]
    );
    assert_eq!(listed[1].special_use.as_deref(), Some("\\Sent"));
    assert!(!listed[2].selectable);
    let opened = remote.examine(&listed[1].raw).unwrap();
    assert_eq!((opened.exists, opened.uid_next), (2, Some(Uid(9))));
    assert_eq!(opened.uid_validity, Some(UidValidity(77)));
    let mut found = vec![];
    let each = |it| {
        found.push(it);
        Ok(())
    };
    remote.fetch("1:*", What::Messages, each).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].bytes.as_deref(), Some(&b"a\r\nb\n"[..]));
    assert_eq!(found[0].flags, Flags::new(8, ["$Work".into()]));
    assert_eq!(found[0].date.unwrap().zone_min, 60);
    let refused = remote.subscribed().unwrap_err();
    assert!(
        refused.to_string().contains("refuses LSUB: NO none"),
        "{refused}"
    );
    let heard = String::from_utf8(remote.into_stream().heard).unwrap();
    let plain = STANDARD.encode("bob\0root\0secret");
    assert!(
        heard.contains(&format!("a2 AUTHENTICATE PLAIN\r\n{plain}\r\n")),
        "{heard}"
    );
    // The server's own spelling.
    assert!(
        heard.contains("a5 EXAMINE \"INBOX.Entw&APw-rfe\"\r\n"),
        "{heard}"
    );
}

#[test]
fn who_is_sent_away_is_told() {
    let script = Script {
        says: io::Cursor::new(b"* BYE full\r\n".to_vec()),
        heard: vec![],
    };
    assert!(Remote::greeted(script, 100).is_err());
    let mut parts = vec![b"EXAMINE ".to_vec()];
    append_string(&mut parts, "\u{fc}\"".as_bytes());
    end(&mut parts);
    assert_eq!(
        parts,
        [b"EXAMINE {3}\r\n".to_vec(), b"\xc3\xbc\"\r\n".to_vec()]
    );
}
