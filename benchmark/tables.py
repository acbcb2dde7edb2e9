"""The tables of docs/performance.md, written between its markers and made only from the results."""

import re
from statistics import median

ENGINES = {"sqlite": "SQLite", "mysql": "MySQL"}
WHO = {
    "desk": "the desk",
    "transaction": "(a) a transaction each",
    "insert": "(b) an insert each",
    "answer": "answered without a database",
    "hello": "axum's hello world",
    "movies": "movie list, 20 movies",
    "shows": "shows of a movie, 50 shows",
}


def table(head, rows):
    """Names on the left, figures on the right."""
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + "|".join(["---"] * 2 + ["---:"] * (len(head) - 2)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def whole(value):
    return f"{value:,.0f}"


def milliseconds(value):
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def megabytes(value):
    return f"{value:,.0f} MB"


def times(value):
    return "" if value is None else f"{value:.2f}"


def middle(runs, *path):
    """The median of a figure over runs."""

    def figure(run):
        for name in path:
            run = run[name]
        return run

    return median(figure(run) for run in runs)


def around(runs, name):
    """A median with the minimum and the maximum."""
    values = [run[name] for run in runs]
    return f"{whole(median(values))} ({whole(min(values))}–{whole(max(values))})"


def judged(runs):
    """What the referee found, and how many requests failed."""
    verdicts = [run["referee"] for run in runs if "referee" in run]
    failed = sum(count for run in runs for outcome, count in run["outcomes"].items() if outcome[0] not in "234")
    broken = sum(verdict["violations_total"] for verdict in verdicts)
    sold = sum(verdict["sold"] for verdict in verdicts)
    text = f"{whole(sold)} sold, {broken or 'no'} violations" if verdicts else "–"
    return text + (f", {whole(failed)} errors" if failed else "")


def each_engine(section):
    return [(ENGINES[engine], section[engine]) for engine in ENGINES if engine in section]


def spread(section):
    rows = []
    for engine, found in each_engine(section):
        for name, runs in found["runs"].items():
            pool = f", pool of {found['best_pool'][name]}" if name in found["best_pool"] else ""
            ratio = times(found["ratios"].get(name))
            p50, p99 = milliseconds(middle(runs, "p50")), milliseconds(middle(runs, "p99"))
            rows.append([engine, WHO[name] + pool, around(runs, "booked"), ratio, p50, p99, judged(runs)])
    head = ["database", "booked by", "bookings/s (min–max)", "desk's speed-up", "p50", "p99", "referee"]
    return table(head, rows)


def spread_1024(section):
    rows = []
    for engine, found in each_engine(section):
        runs = found["connections_1024"]
        latencies = [milliseconds(middle(runs, name)) for name in ("p50", "p99", "p99_9")]
        rows.append([engine, around(runs, "booked"), *latencies, judged(runs)])
    return table(["database", "bookings/s (min–max)", "p50", "p99", "p99.9", "referee"], rows)


def family(section):
    rows = []
    for engine, found in each_engine(section):
        for connections, both in found["runs"].items():
            for name, runs in both.items():
                is_family = name == "family"
                orders = whole(middle(runs, "orders")) if is_family else ""
                ratio = times(found["ratios"][connections]) if is_family else ""
                p50, p99 = milliseconds(middle(runs, "p50")), milliseconds(middle(runs, "p99"))
                seats = around(runs, "seats")
                rows.append([engine, name, whole(int(connections)), seats, ratio, orders, p50, p99, judged(runs)])
    head = ["database", "load", "connections", "seats/s (min–max)", "vs. spread", "orders/s", "p50", "p99", "referee"]
    return table(head, rows)


def pools(section):
    sizes = sorted({int(size) for _, found in each_engine(section) for size in found["pools"]["insert"]})
    rows = []
    for engine, found in each_engine(section):
        for name, runs in found["pools"].items():
            cells = [whole(runs[str(size)]["booked"]) if str(size) in runs else "" for size in sizes]
            rows.append([engine, WHO[name], *cells])
    return table(["database", "bookings/s by number of connections", *sizes], rows)


def cores(section, names):
    kinds = ("server", "database", "load", "idle")
    rows = []
    for engine, found in each_engine(section):
        for name in names:
            runs = [run for run in found["runs"][name] if run["cores"]]
            if runs:
                used = [f"{middle(runs, 'cores', kind):.2f}" if kind in runs[0]["cores"] else "" for kind in kinds]
                rows.append([engine, WHO[name], *used])
    return table(["database", "cores used by", "server", "database", "load generator", "idle"], rows)


def against(section, names, ceiling):
    rows = []
    for engine, found in each_engine(section):
        for name in names:
            runs = found["runs"][name]
            ratio = found["ratio"] if "ratio" in found else found["ratios"].get(name)
            p50, p99 = milliseconds(middle(runs, "p50")), milliseconds(middle(runs, "p99"))
            cells = [times(ratio) if name != ceiling else "", p50, p99, judged(runs)]
            rows.append([engine, WHO[name], around(runs, "per_second"), *cells])
    head = ["database", "what", "requests/s (min–max)", "vs. ceiling", "p50", "p99", "referee"]
    return table(head, rows)


def growth(section):
    rows = []
    for engine, found in each_engine(section):
        for size, runs in found["runs"].items():
            before = sorted({run["bookings_before"] for run in runs})
            rows.append(
                [
                    engine,
                    "–".join(whole(count) for count in before[:: max(len(before) - 1, 1)]),
                    around(runs, "booked"),
                    times(found["ratios_of_medians"].get(size)),
                    times(found["ratios"].get(size)),
                    milliseconds(middle(runs, "p99")),
                    megabytes(middle(runs, "memory_mb", "rss")),
                    megabytes(max(run["memory_mb"]["peak"] for run in runs)),
                    judged(runs),
                ]
            )
    head = [
        "database",
        "old bookings",
        "bookings/s (min–max)",
        "vs. empty",
        "paired",
        "p99",
        "memory after",
        "peak memory",
        "referee",
    ]
    return table(head, rows)


def mixed(section):
    rows = []
    for engine, found in each_engine(section):
        run = found["run"]
        figures = [whole(run["per_second"]), milliseconds(run["p50"]), milliseconds(run["p99"])]
        rows.append([engine, "256 connections", *figures, megabytes(run["memory_mb"]["peak"]), judged([run])])
    return table(["database", "load", "requests/s", "p50", "p99", "peak memory", "referee"], rows)


def varied(section, what):
    rows = []
    for engine, found in each_engine(section):
        for variant, runs in found["runs"].items():
            latencies = [milliseconds(middle(runs, name)) for name in ("p50", "p99")]
            rows.append([engine, whole(int(variant)), around(runs, "booked"), *latencies, judged(runs)])
    return table(["database", what, "bookings/s (min–max)", "p50", "p99", "referee"], rows)


def lone(section):
    rows = []
    names = {
        "round_trip": "one round trip",
        "insert": "a bare insert",
        "desk": "a booking at the desk",
        "desk_first_touch": "the first booking of a show",
    }
    for engine, found in each_engine(section):
        typical, late = found["median_us"], found["p95_us"]
        for name, text in names.items():
            beyond = (typical[name] - typical["insert"]) / typical["round_trip"]
            more = f"{beyond:+.1f}" if name.startswith("desk") else ""
            rows.append([engine, text, f"{typical[name]:,.0f} µs", f"{late[name]:,.0f} µs", more])
    return table(["database", "what", "median", "p95", "round trips on top of the insert"], rows)


def seats(section):
    rows = []
    for engine, found in each_engine(section):
        sizes = found["by_size"]
        for size, figures in sizes.items():
            booked = figures["seats_per_second"]
            ratios = [many / one for many, one in zip(booked, sizes["1"]["seats_per_second"], strict=True)]
            requests = whole(median(figures["requests_per_second"]))
            rows.append([engine, size, requests, whole(median(booked)), "" if size == "1" else times(median(ratios))])
    return table(["database", "seats per request", "requests/s", "seats/s", "vs. one seat"], rows)


def start(section):
    rows = []
    for engine, found in each_engine(section):
        for name, runs in found["runs"].items():
            ready = [f"{median(runs[figure]):.0f} ms" for figure in ("healthz_ms", "readyz_ms")]
            rows.append([engine, name, *ready, megabytes(median(runs["rss_mb"]))])
    sizes = next(iter(each_engine(section)))[1]
    stripped = f"; {megabytes(sizes['stripped_mb'])} without debug symbols" if "stripped_mb" in sizes else ""
    head = ["database", "data", "until /healthz answers", "until /readyz answers", "idle memory"]
    return table(head, rows) + f"\n\nThe binary is {megabytes(sizes['binary_mb'])}{stripped}."


def other(section):
    rows = []
    for engine, found in each_engine(section):
        for name, runs in found["runs"].items():
            who = WHO["desk"] if name == "desk" else found["name"]
            latencies = [milliseconds(middle(runs, figure)) for figure in ("p50", "p99")]
            ratio = times(found["ratio"]) if name == "other" else ""
            rows.append([engine, who, around(runs, "booked"), ratio, *latencies, judged(runs)])
    head = ["desk on", "server", "bookings/s (min–max)", "desk's speed-up", "p50", "p99", "referee"]
    return table(head, rows)


def machine(found):
    lines = [f"- {found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB; {found['system']}"]
    lines.append(f"- {found['marquee']}, built with {found['rust']}")
    lines += [f"- {found[engine]}" for engine in ENGINES if engine in found]
    lines.append(f"- measured on {', '.join(found['days'])}, revision {', '.join(found['revisions'])}")
    return "\n".join(lines)


BLOCKS = {
    "machine": ("machine", machine),
    "spread": ("spread", spread),
    "spread-1024": ("spread", spread_1024),
    "family": ("family", family),
    "pools": ("spread", pools),
    "spread-cores": ("spread", lambda section: cores(section, ("desk", "transaction", "insert"))),
    "onsale": ("onsale", lambda section: against(section, ("desk", "answer"), "answer")),
    "onsale-cores": ("onsale", lambda section: cores(section, ("desk", "answer"))),
    "read": ("read", lambda section: against(section, ("hello", "movies", "shows"), "hello")),
    "growth": ("growth", growth),
    "mixed": ("mixed", mixed),
    "shows": ("shows", lambda section: varied(section, "shows")),
    "connections": ("connections", lambda section: varied(section, "connections")),
    "lone": ("lone", lone),
    "seats": ("seats", seats),
    "start": ("start", start),
    "other": ("other", other),
}


def fill(document, results):
    """Rewrites each block of the document."""

    def block(match):
        part, make = BLOCKS[match[1]]
        text = make(results[part]) if results.get(part) else "Not measured yet."
        return f"<!-- results:{match[1]} -->\n{text}\n<!-- /results -->"

    return re.sub(r"<!-- results:(\S+) -->.*?<!-- /results -->", block, document, flags=re.DOTALL)
