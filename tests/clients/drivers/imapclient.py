"""imapclient (PyPI): idle, look, done, fetch the envelope, sort and thread; access control lists."""

import time

NEEDS = []


def drive(stage):
    """One message while it idles, then a second in the same IDLE, then the envelopes."""
    from imapclient import IMAPClient

    tap = stage.tap()
    with IMAPClient(tap.host, port=tap.port, ssl=False, timeout=30) as client:
        client.login(stage.user, stage.password)
        client.select_folder("INBOX")
        client.idle()
        sent = stage.deliver()
        heard = client.idle_check(timeout=30)
        seen = time.monotonic()
        assert (1, b"EXISTS") in heard, f"heard {heard}"
        stage.deliver(f"{stage.subject}-again")
        heard = client.idle_check(timeout=30)
        assert (2, b"EXISTS") in heard, f"heard {heard}"
        client.idle_done()
        uids = client.search("ALL")
        fetched = client.fetch(uids, ["ENVELOPE", "FLAGS", "RFC822.SIZE", "BODYSTRUCTURE"])
        subjects = [fetched[uid][b"ENVELOPE"].subject.decode() for uid in uids]
        assert subjects == [stage.subject, f"{stage.subject}-again"], f"fetched {subjects}"
        again = client.sort(["REVERSE SUBJECT"])
        assert again == uids[::-1], f"sorted {again}"
        again = client.sort(["REVERSE ARRIVAL", "SIZE"], "UNSEEN", "UTF-8")
        assert sorted(again) == uids, f"sorted {again}"
        for algorithm in ("REFERENCES", "REFS", "ORDEREDSUBJECT"):
            threads = client.thread(algorithm)
            flat = sorted(uid for thread in threads for uid in thread)
            assert flat == uids, f"threads by {algorithm} {threads}"
        client.add_flags(uids[:1], [b"\\Deleted"])
        client.expunge()
        assert client.search("ALL") == uids[1:], "the expunge did not hold"
        shared = client.has_capability("ACL")
        if shared:
            share(client, stage.user)
    return f"heard EXISTS after {seen - sent:.3f} s" + (", shared a mailbox" if shared else "")


def share(client, user):
    """Lets everybody look into a mailbox, sees that it is so, and takes it back."""
    assert client.namespace().other[0] == ("Other Users/", "/"), client.namespace()
    client.create_folder("Shared by me")
    client.setacl("Shared by me", "anyone", "lr")
    client.setacl("Shared by me", "anyone", "+s")
    heard = dict(client.getacl("Shared by me"))
    assert heard == {user.encode(): b"lrswipkxtecda", b"anyone": b"lrs"}, f"heard {heard}"
    # The library leaves quotes to its user.
    client.setacl("Shared by me", "anyone", '""')
    heard = dict(client.getacl("Shared by me"))
    assert heard == {user.encode(): b"lrswipkxtecda"}, f"heard {heard}"
    client.delete_folder("Shared by me")
