#!/usr/bin/env python3
"""Checks that exported seat plans follow the schema in pretix's wheel.

    pip install -r tests/schema/requirements.txt
    cargo build -p seating --example convert
    tests/schema/pretix_plan.py target/debug/examples/convert

Exports every shape and template of `seating/` as pretix's JSON and validates it with the schema that pretix ships. The
wheel is downloaded from PyPI once and kept in the cache directory.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import jsonschema_rs

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = "pretix/static/seating/seating-plan.schema.json"
CACHE = pathlib.Path(os.environ.get("MARQUEE_CI_CACHE", pathlib.Path.home() / ".cache/marquee-ci"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("convert", type=pathlib.Path, help="the example `convert` of the crate seating")
    parser.add_argument("--version", default="2026.8.0", help="pretix's version (default: %(default)s)")
    options = parser.parse_args()
    validator = jsonschema_rs.validator_for(schema(options.version))
    # A schema that accepts everything would prove nothing.
    if validator.is_valid({"name": "", "zones": [], "categories": []}):
        return fail("the schema accepts a plan without a size")
    plans = sorted((ROOT / "seating/tests/shapes").glob("*.txt")) + sorted((ROOT / "seating/src/templates").glob("*.txt"))
    failures = 0
    for path in plans:
        exported = json.loads(convert(options.convert, "grid", "pretix", path.read_text()))
        for error in validator.iter_errors(exported):
            failures += 1
            print(f"{path.relative_to(ROOT)}: {'/'.join(map(str, error.instance_path))}: {error.message}")
        # pretix's own reader needs more than its schema says.
        categories = {category["name"] for category in exported["categories"]}
        seats = [seat for zone in exported["zones"] for row in zone["rows"] for seat in row["seats"]]
        named = all(zone.get("name") for zone in exported["zones"])
        unique = len({seat["seat_guid"] for seat in seats}) == len(seats)
        if not (named and unique and seats and all(seat["category"] in categories for seat in seats)):
            failures += 1
            print(f"{path.relative_to(ROOT)}: a zone has no name, a guid is not unique, or a category is unknown")
    if len(plans) < 22:
        return fail(f"only {len(plans)} plans were found")
    print(f"{len(plans)} plans, {failures} faults, pretix {options.version}")
    return fail("see above") if failures else 0


def schema(version):
    """Returns the schema of this version, downloading the wheel if it is not there."""
    kept = CACHE / f"pretix-{version}-seating-plan.schema.json"
    if not kept.exists():
        wheels = CACHE / "pretix-wheel"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", wheels, f"pretix=={version}"], check=True)
        wheel = next(wheels.glob(f"pretix-{version}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            kept.write_bytes(archive.read(SCHEMA))
        wheel.unlink()
    return json.loads(kept.read_text())


def convert(program, before, after, text):
    done = subprocess.run([program.resolve(), before, after], input=text, capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(fail(done.stderr))
    return done.stdout


def fail(reason):
    print(f"pretix_plan.py: FAILED: {reason}", file=sys.stderr)
    return 1


sys.exit(main())
