"""imapclient (PyPI): idle, look, done, fetch, sort, thread; lists of rights, quotas, metadata."""

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
        quotas(client, stage.user)
        metadata(client)
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


def quotas(client, user):
    """The root of INBOX is the user, and only an administrator sets its limits."""
    from imapclient.exceptions import IMAPClientError

    root, found = client.get_quota_root("INBOX")
    assert root.quota_roots == [f"user/{user}"], f"rooted in {root}"
    used = {quota.resource: (quota.quota_root, quota.usage) for quota in found}
    assert used["MAILBOX"] == (f"user/{user}", 1), f"found {found}"
    try:
        client.set_quota(found)
    except IMAPClientError as refused:
        assert "[NOPERM]" in str(refused), f"refused with {refused}"
    else:
        raise AssertionError("anybody may set quotas")


def metadata(client):
    """What was set is there again, and gone after NIL."""
    entry = b"/private/vendor/ensign.test/token"
    for value, expected in [(b'"a token"', [b"a token"]), (b"NIL", [None])]:
        client._raw_command(b"SETMETADATA", [b'""', b"(" + entry + b" " + value + b")"], uid=False)
        told = client._raw_command_untagged(
            b"GETMETADATA", [b'""', entry], uid=False, response_name="METADATA", unpack=True
        )
        for word in expected:
            assert (word or b"NIL") in told, f"told {told}"
