"""imapclient (PyPI): idle, look, done, fetch the envelope, sort and thread."""

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
    return f"heard EXISTS after {seen - sent:.3f} s"
