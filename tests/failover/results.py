"""The rounds of tests/failover/run that are finished, and their table."""

import contextlib
import json
from statistics import median

CLUSTERS = ("galera", "group")
FAULTS = ("killed", "demoted", "frozen", "instance-frozen")


def table(results):
    """Returns a Markdown table with a row for each fault."""
    lines = [
        "| cluster | fault | rounds | passed | back after, s (median, max) | sold | repeats | settled by a repeat | violations |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in CLUSTERS:
        for fault in FAULTS:
            rounds = [found for found in results if (found["cluster"], found["fault"]) == (kind, fault)]
            if not rounds:
                continue
            total = lambda name: f"{sum(found.get(name, 0) for found in rounds):,}"
            back = sorted(found["back_seconds"] for found in rounds)
            passed = sum(found["passed"] for found in rounds)
            lines.append(
                f"| {kind} | {fault} | {len(rounds)} | {passed} | {median(back):.1f}, {back[-1]:.1f} | {total('sold')}"
                f" | {total('repeats')} | {total('settled')} | {total('violations')} |"
            )
    for found in results:
        lines += [f"- {found['cluster']}, {found['fault']}, round {found['round']}: {fault}" for fault in found["faults"]]
    return "\n".join(lines)


def read_results(file):
    if not file.exists():
        return []
    results = []
    for line in file.read_text().splitlines():
        # An interrupted run may have written half a line.
        with contextlib.suppress(json.JSONDecodeError):
            results.append(json.loads(line))
    return results
