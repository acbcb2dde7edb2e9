#!/usr/bin/env python3
"""Fuzzes a running server with its own schema, using Schemathesis.

    pip install -r tests/schema/requirements.txt
    tests/schema/fuzz.py target/debug/marquee                        # CI, about two minutes
    tests/schema/fuzz.py target/debug/marquee --at-least 20000       # a release

Starts the server with the sample data in a directory of its own, on a free port. Fails if a check of
schemathesis.toml fails or if the server's log has a 5xx reply. Repeats the run with other seeds until the server's log
shows enough requests.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent

SETTINGS = {
    "SECRET_KEY": "a key for tests only, of more than fifty characters, 0123456789",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "info",
    # A fuzzer sends wrong logins; the throttle has its own tests.
    "LOGIN_FAILURES_PER_ACCOUNT": "1000000",
    "LOGIN_FAILURES_PER_ADDRESS": "1000000",
    # No limit on holds, for the same reason.
    "HOLDS_PER_USER": "1000",
    "HOLD_SEATS_PER_USER": "1000",
    "HOLDS_PER_MINUTE": "1000000",
    "CHANGES_PER_USER_PER_MINUTE": "1000000",
    "ACCESS_TOKEN_LIFETIME_HOURS": "24",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path, help="the marquee binary")
    parser.add_argument("--examples", type=int, default=600, help="cases per operation and phase (default: %(default)s)")
    parser.add_argument("--at-least", type=int, default=8000, help="minimum number of requests (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="requests at a time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="seed of a run to repeat")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the server's log and the report in this directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="marquee-fuzz-") as directory:
        sys.exit(run(options, pathlib.Path(options.keep or directory)))


def run(options, directory):
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "server.log"
    environment = os.environ | SETTINGS | {"DATABASE_URL": f"sqlite://{directory.absolute()}/fuzz.sqlite3"}
    with log.open("w") as sink:
        server = subprocess.Popen(
            [options.binary.resolve(), "serve", "--demo", "--bind", "127.0.0.1:0"],
            cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        try:
            for line in server.stdout:
                if found := re.search(r'"listening".*"(http://[^"]+)"', line):
                    break
            else:
                return fail(f"the server did not start (exit status {server.wait()})")
            # The rest of its output is the log; a pipe that nobody reads would block the server.
            copier = subprocess.Popen(["cat"], stdin=server.stdout, stdout=sink)
            book_as_another(found[1])
            status = 0
            for seed in itertools.count(options.seed):
                status = schemathesis(options, found[1], seed, directory)
                if status or server.poll() is not None or sum(replies(log).values()) >= options.at_least:
                    break
            if server.poll() is not None:
                return fail(f"the server ended unexpectedly (exit status {server.returncode})")
        finally:
            server.terminate()
            server.wait(30)
        copier.wait(30)
    return verdict(options, status, log)


def book_as_another(url):
    """Creates bookings that the fuzzing user may not cancel."""

    def call(path, body=None, token=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=30) as reply:
            return json.load(reply)

    account = {"username": "another", "password": "Sturdy-Lantern-42"}
    call("/api/signup/", account | {"email": "another@example.com", "password2": account["password"]})
    token = call("/api/login/", account)["access"]
    movie = call("/api/movies/", token=token)[0]
    for show in call(f"/api/movies/{movie['id']}/shows/", token=token)[-5:]:
        call(f"/api/shows/{show['id']}/book/", {"seat_number": show["total_seats"]}, token)


def schemathesis(options, url, seed, directory):
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    command += [f"{url}/api/schema/?format=json", "--seed", str(seed)]
    command += ["--max-examples", str(options.examples), "--workers", str(options.workers)]
    return subprocess.run(command, cwd=directory, env=os.environ | {"PYTHONPATH": str(HERE)}).returncode


def replies(log):
    """Counts how often each operation was answered with each status."""
    counts = collections.Counter()
    for line in log.read_text().splitlines():
        # The last line may not be complete yet.
        if '"answered"' in line and line.endswith("}"):
            entry = json.loads(line)
            path = re.sub(r"/[^/]+/(shows|book|cancel|holds|extend|change|release|confirm)/$", r"/{id}/\1/", entry["path"])
            known = path.startswith("/api/") and path.count("/") < 7
            counts[f"{entry['method']} {path if known else '(other paths)'}", entry["status"]] += 1
    return counts


def verdict(options, status, log):
    """Prints what the server's log shows, and returns the exit code."""
    counts = replies(log)
    rows = collections.defaultdict(dict)
    for (operation, code), count in sorted(counts.items()):
        rows[operation][code] = count
    for operation, codes in sorted(rows.items(), key=lambda row: -sum(row[1].values()))[:25]:
        print(f"{sum(codes.values()):7} {operation:40}", *(f"{code}: {count}" for code, count in codes.items()), sep="  ")
    total = sum(counts.values())
    errors = sum(count for (_, code), count in counts.items() if code >= 500)
    print(f"{total} requests, {errors} answered 5xx, Schemathesis ended with {status}; --seed {options.seed}")
    return fail("see above") if status or errors else 0


def fail(reason):
    print(f"fuzz.py: FAILED: {reason}", file=sys.stderr)
    return 1


main()
