"""testssl.sh: the port's face as auditors see it."""

import json

NEEDS = ["testssl"]
NEEDS_TLS = True
SECONDS_MAX = 150
# Protocols; ciphers by category; forward secrecy; and what there were attacks on that don't need
# minutes: Heartbleed, CCS injection, Ticketbleed, ROBOT, renegotiation, CRIME, POODLE, fallback,
# SWEET32, BEAST, LUCKY13, FREAK, LOGJAM, DROWN, RC4.
CHECKS = ["-p", "-s", "-f", "-H", "-I", "-T", "-BB", "-R", "-C", "-O", "-Z", "-W", "-A", "-L", "-F",
          "-J", "-D", "-4"]
GOOD = {"OK", "INFO"}
# Of this host's own openssl.
OF_THE_TOOL = {"engine_problem"}
OFFERED = {"TLS1_2": "offered", "TLS1_3": "offered with final"}
NOT_OFFERED = ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL",
               "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA"]


def drive(stage):
    """Nothing that is found is bad, and what is there and not there is as it should be."""
    report = stage.home / "report.json"
    stage.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", *CHECKS,
               "--jsonfile", str(report), "%s:%d" % stage.imaps], timeout=SECONDS_MAX - 5)
    findings = {each["id"]: each for each in json.loads(report.read_text())}
    for name, each in findings.items():
        stage.transcript.note("found", f"{each['severity']} {name}: {each['finding']}")
    bad = [f"{name}: {each['finding']}" for name, each in findings.items()
           if each["severity"] not in GOOD and name not in OF_THE_TOOL]
    assert not bad, "; ".join(bad)
    for name, expected in OFFERED.items():
        assert expected in findings[name]["finding"], f"{name}: {findings[name]['finding']}"
    for name in NOT_OFFERED:
        assert "not offered" in findings[name]["finding"], f"{name}: {findings[name]['finding']}"
    return f"found nothing bad in {len(findings)} findings"
