"""Runs real mail clients and deliverers against a server, two at a time, and says which reacted.

    run.py --list
    run.py --imap HOST:PORT --lmtp HOST:PORT [--imaps HOST:PORT] --password WORD --logs DIR [NAME ...]
    run.py --reference --logs DIR [NAME ...]

Each driver in `drivers/` has a user of its own name on the server, all with one password, and an
empty INBOX. It gets an empty HOME and sixty seconds, or as many as it says it needs. With --reference the drivers are tried
against a Dovecot that is started for them, to know that a driver itself is right. Drivers of TLS
need --imaps.
"""

import argparse
import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS_MAX = 60
AT_ONCE = 2


def main():
    """Reads the command line and does what it asks."""
    options = arguments()
    if options.list:
        print("\n".join(drivers()))
    elif options.one:
        run_one(options)
    elif options.reference:
        from harness.reference import Dovecot

        with contextlib.closing(Dovecot(options.password)) as server:
            options.imap, options.lmtp = server.imap, server.lmtp
            sys.exit(run_all(options))
    else:
        sys.exit(run_all(options))


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="real clients against a server")
    parser.add_argument("names", nargs="*", help="drivers to run; all, if none is named")
    parser.add_argument("--imap", type=address, help="HOST:PORT of the IMAP server")
    parser.add_argument("--imaps", type=address, help="HOST:PORT of IMAP over TLS")
    parser.add_argument("--lmtp", type=address, help="HOST:PORT of the LMTP server")
    parser.add_argument("--password", default="secret", help="the password of every user")
    parser.add_argument("--logs", type=Path, help="folder for a log of each driver")
    parser.add_argument("--list", action="store_true", help="print the drivers' names")
    parser.add_argument("--reference", action="store_true", help="try the drivers on Dovecot")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.list or options.reference) and not (options.imap and options.lmtp):
        parser.error("--imap and --lmtp are needed")
    if not options.list and not options.logs:
        parser.error("--logs is needed")
    return options


def address(text):
    """`HOST:PORT` as a pair."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def drivers():
    """The names of all drivers."""
    return sorted(p.stem for p in (HERE / "drivers").glob("*.py") if p.stem != "__init__")


def of_driver(name, what, default):
    """What a driver says of itself."""
    return getattr(importlib.import_module(f"drivers.{name}"), what, default)


def run_all(options):
    """Runs the drivers, each in a process of its own; returns how many failed."""
    options.logs.mkdir(parents=True, exist_ok=True)
    names = options.names or [name for name in drivers() if options.imaps or not of_driver(name, "NEEDS_TLS", False)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = sum(pool.map(lambda name: not run_alone(name, options), names))
    print(f"{len(names) - failed} clients reacted, {failed} did not", flush=True)
    return min(failed, 100)


def run_alone(name, options):
    """Runs one driver in a child process with a time limit, prints how it went, and tells."""
    log = options.logs / f"{name}.log"
    within = of_driver(name, "SECONDS_MAX", SECONDS_MAX)
    child = subprocess.Popen(
        [sys.executable, __file__, "--one", name, "--password", options.password,
         "--imap", "%s:%d" % options.imap, "--lmtp", "%s:%d" % options.lmtp,
         "--logs", str(options.logs),
         *(["--imaps", "%s:%d" % options.imaps] if options.imaps else [])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        said, _ = child.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate()
        said = f"not done within {within} s"
    good = child.returncode == 0
    last = (said.strip().splitlines() or ["said nothing"])[-1]
    print(f"{'PASS' if good else 'FAIL'} {name}: {last}" + ("" if good else f" (see {log})"),
          flush=True)
    return good


def run_one(options):
    """Runs one driver here; SIGTERM unwinds it, so that it ends what it started."""
    from harness.stage import Stage

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    name = options.names[0]
    driver = importlib.import_module(f"drivers.{name}")
    home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    home.chmod(0o755)
    try:
        missing = [each for each in driver.NEEDS if not find(each)]
        if missing:
            sys.exit(f"not installed: {', '.join(missing)}")
        with open(options.logs / f"{name}.log", "w", encoding="utf-8") as log:
            ports = (options.imap, options.imaps, options.lmtp)
            with Stage(name, ports, options.password, home, log) as stage:
                started = time.monotonic()
                told = driver.drive(stage)
        print(f"{told} ({time.monotonic() - started:.1f} s in all)")
    except Exception as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def find(program):
    """Where a program is, looking also where only root's PATH does."""
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


if __name__ == "__main__":
    main()
