"""Proxies of Debian, with the configurations of docs/proxies.md, in front of two hosts of mail.

    lead.py --base DIR --base DIR --imaps PORT --lmtp PORT --password WORD --logs DIR
            [--idle-minutes N] [NAME ...]

The bases' servers listen on 127.0.0.11 and 127.0.0.12, on the same ports, and take 127.0.0.2 for a
proxy that sends a header, 127.0.0.1 for one that names clients by the command ID. The first has
fred@example.org, the second mary@example.org. With --idle-minutes clients idle so long, by all
proxies at the same time, and nothing else is tried.
"""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.stage import Stage
from proxies import dovecot, haproxy, moving, nginx, postfix
from proxies.site import Site

# Those that clients idle through.
IDLING = ["haproxy", "nginx", "dovecot"]
PROXIES = {"haproxy": haproxy, "nginx": nginx, "dovecot": dovecot, "postfix": postfix, "moving": moving}


def main():
    """Runs each proxy, and says which led clients to their hosts."""
    options = arguments()
    options.logs.mkdir(parents=True, exist_ok=True)
    is_long = options.idle_minutes is not None
    names = options.names or (IDLING if is_long else list(PROXIES))
    with ThreadPoolExecutor(len(names) if is_long else 1) as pool:
        failed = sum(not good for good in pool.map(lambda name: led(name, options), names))
    print(f"{len(names) - failed} proxies led, {failed} did not", flush=True)
    sys.exit(failed)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="proxies in front of two hosts")
    parser.add_argument("names", nargs="*", help="proxies to try; all, if none is named")
    parser.add_argument("--base", type=Path, action="append", required=True, help="a base directory")
    parser.add_argument("--imaps", type=int, required=True, help="the hosts' port of IMAP over TLS")
    parser.add_argument("--lmtp", type=int, required=True, help="the hosts' port of LMTP")
    parser.add_argument("--password", default="secret", help="the password of every user")
    parser.add_argument("--idle-minutes", type=float, help="how long clients idle and hear nothing")
    parser.add_argument("--logs", type=Path, required=True, help="folder for a log of each proxy")
    return parser.parse_args()


def led(name, options):
    """Runs one proxy; prints how it went, and tells."""
    log = options.logs / f"proxy-{name}.log"
    home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    home.chmod(0o755)
    started = time.monotonic()
    try:
        with open(log, "w", encoding="utf-8") as file:
            with Stage(name, (None, None, None), options.password, home, file) as stage:
                told = PROXIES[name].lead(Site(stage, options))
        print(f"PASS {name}: {told} ({time.monotonic() - started:.1f} s in all)", flush=True)
        return True
    except Exception as failure:
        print(f"FAIL {name}: {type(failure).__name__}: {failure} (see {log})", flush=True)
        return False
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
