"""The charts of docs/performance.md as SVG, made only from the results."""

import math
from html import escape
from statistics import median

ENGINES = {"sqlite": "SQLite", "mysql": "MySQL"}
# Readable on white and on black.
BLUE, AMBER, VIOLET, GREY = "#2f81f7", "#d29922", "#a371f7", "#8b949e"
COLOURS = [BLUE, AMBER, VIOLET]
# Everything but the server itself.
OTHERS = {"transaction": AMBER, "insert": VIOLET, "answer": GREY, "hello": GREY}
STYLE = """text { font: 12px system-ui, sans-serif; fill: #57606a }
.head { font-weight: 600 } .end { text-anchor: end } .mid { text-anchor: middle }
.grid { stroke: #8b949e; stroke-opacity: .3 } .dot { fill: #57606a; fill-opacity: .75 }
@media (prefers-color-scheme: dark) { text { fill: #adbac7 } .dot { fill: #e6edf3 } }"""
LEFT, TOP, PANEL, GAP, HEIGHT = 62, 52, 300, 74, 210


def number(value):
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def steps(most):
    """Round numbers from 0 to beyond `most`."""
    raw = (most or 1) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    return [step * index for index in range(math.ceil((most or 1) / step) + 1)]


def decades(least, most):
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


class Panel:
    """A pair of axes: scales, grid and labels."""

    def __init__(self, index, heading, unit, values, logarithmic=False):
        self.left = LEFT + index * (PANEL + GAP)
        values = [value for value in values if value > 0] or [1]
        self.marks = decades(min(values), max(values)) if logarithmic else steps(max(values))
        self.scale = math.log10 if logarithmic else float
        self.parts = [f'<text class="head" x="{self.left}" y="{TOP - 26}">{escape(heading)}</text>']
        self.parts.append(f'<text x="{self.left}" y="{TOP - 10}">{escape(unit)}</text>')
        for mark in self.marks:
            y = self.y(mark)
            self.parts.append(f'<path class="grid" d="M{self.left} {y:.1f}h{PANEL}"/>')
            self.parts.append(f'<text class="end" x="{self.left - 8}" y="{y + 4:.1f}">{number(mark)}</text>')

    def y(self, value):
        low, high = self.scale(self.marks[0]), self.scale(self.marks[-1])
        share = (self.scale(max(value, self.marks[0])) - low) / (high - low)
        return TOP + HEIGHT * (1 - share)

    def x(self, place, places):
        return self.left + PANEL * (place + 0.5) / places

    def label(self, x, text, line=0):
        self.parts.append(f'<text class="mid" x="{x:.1f}" y="{TOP + HEIGHT + 18 + 15 * line}">{escape(text)}</text>')

    def bar(self, place, places, values, colour, label):
        """The median as a bar, each round as a dot."""
        x, width, top = self.x(place, places), min(PANEL / places * 0.62, 64), self.y(median(values))
        self.parts.append(
            f'<rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{TOP + HEIGHT - top:.1f}"'
            f' rx="2" fill="{colour}" fill-opacity=".75"/>'
        )
        for index, value in enumerate(values):
            shift = (index - (len(values) - 1) / 2) * min(7, width / max(len(values), 1))
            self.parts.append(f'<circle class="dot" cx="{x + shift:.1f}" cy="{self.y(value):.1f}" r="2.5"/>')
        for line, text in enumerate(label.split("\n")):
            self.label(x, text, line)

    def line(self, values, colour):
        points = [(self.x(place, len(values)), self.y(value)) for place, value in enumerate(values)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]


def picture(title, description, panels, legend=()):
    width = LEFT + len(panels) * (PANEL + GAP) - GAP + 16
    height = TOP + HEIGHT + (78 if legend else 52)
    parts = [part for panel in panels for part in panel.parts]
    x = LEFT
    for text, colour in legend:
        parts.append(f'<rect x="{x}" y="{height - 23}" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{height - 12}">{escape(text)}</text>')
        x += 42 + 7 * len(text)
    width = max(width, x)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-labelledby="title desc">\n<title id="title">{escape(title)}</title>\n'
        f'<desc id="desc">{escape(description)}</desc>\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def describe(engine, pairs, unit):
    """A sentence for readers who can't see the chart."""
    return f"{ENGINES[engine]}: " + ", ".join(f"{name} {number(value)}" for name, value in pairs) + f" {unit}."


def bars(section, title, unit, figure, names):
    """A panel for each engine, a bar for each name."""
    panels, texts = [], []
    measured = [engine for engine in ENGINES if engine in section]
    for index, engine in enumerate(measured):
        runs = {name: [run[figure] for run in section[engine]["runs"][name]] for name in names}
        panel = Panel(index, ENGINES[engine], unit, [value for values in runs.values() for value in values])
        for place, (name, label) in enumerate(names.items()):
            panel.bar(place, len(names), runs[name], OTHERS.get(name, BLUE), label)
        panels.append(panel)
        pairs = [(label.replace("\n", " "), median(runs[name])) for name, label in names.items()]
        texts.append(describe(engine, pairs, unit))
    return picture(title, "The median of the rounds as a bar, each round as a dot. " + " ".join(texts), panels)


def percentiles(section):
    names = {"desk": "the desk", "transaction": "(a) a transaction each", "insert": "(b) an insert each"}
    ranks = {"p50": "50", "p90": "90", "p99": "99", "p99_9": "99.9", "max": "max"}
    panels, texts = [], []
    for index, engine in enumerate(engine for engine in ENGINES if engine in section):
        runs = section[engine]["runs"]
        lines = {name: [median(run[rank] for run in runs[name]) for rank in ranks] for name in names}
        values = [value for line in lines.values() for value in line]
        panel = Panel(index, ENGINES[engine], "ms, logarithmic", values, logarithmic=True)
        for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
            panel.line(line, colour)
            texts.append(describe(engine, zip((f"{name} p{rank}" for rank in ranks.values()), line, strict=True), "ms"))
        for place, label in enumerate(ranks.values()):
            panel.label(panel.x(place, len(ranks)), label)
        panel.label(panel.left + PANEL / 2, "percentile", 1)
        panels.append(panel)
    legend = list(zip(names.values(), COLOURS, strict=False))
    title = "How long a booking takes at 256 connections"
    return picture(title, "Medians of the rounds. " + " ".join(texts), panels, legend)


def over_connections(section):
    panels, texts, legend = [], [], []
    figures = {"booked": "bookings per second", "p99": "p99, ms"}
    measured = [engine for engine in ENGINES if engine in section]
    for index, (figure, unit) in enumerate(figures.items()):
        lines = {
            engine: [median(run[figure] for run in runs) for runs in section[engine]["runs"].values()]
            for engine in measured
        }
        heading = "Throughput" if figure == "booked" else "Latency"
        panel = Panel(index, heading, unit, [value for line in lines.values() for value in line])
        labels = list(section[measured[0]]["runs"])
        for place, label in enumerate(labels):
            panel.label(panel.x(place, len(labels)), f"{int(label):,}")
        panel.label(panel.left + PANEL / 2, "connections", 1)
        for colour, engine in zip(COLOURS, measured, strict=False):
            panel.line(lines[engine], colour)
            texts.append(describe(engine, zip(labels, lines[engine], strict=True), unit))
        panels.append(panel)
    legend = [(ENGINES[engine], colour) for engine, colour in zip(measured, COLOURS, strict=False)]
    return picture("Bookings over the number of connections", "Medians. " + " ".join(texts), panels, legend)


def sizes(section):
    """Numbers of bookings and their labels, as `bars` takes names."""
    some = next(section[engine] for engine in ENGINES if engine in section)

    def label(size):
        size = int(size)
        return f"{size // 1_000_000} million\nbookings" if size >= 1_000_000 else f"{size:,}\nbookings"

    return {size: label(size) for size in some["runs"]}


def draw(results):
    """The charts that there are results for, by name."""
    a_second = "bookings per second"
    makers = {
        "spread": lambda section: bars(
            section,
            "Bookings per second, 256 connections",
            a_second,
            "booked",
            {"desk": "the desk", "transaction": "(a) a\ntransaction each", "insert": "(b) an\ninsert each"},
        ),
        "onsale": lambda section: bars(
            section,
            "An on-sale: requests decided per second, 1,024 connections",
            "requests per second",
            "per_second",
            {"desk": "decided", "answer": "answered without\na database"},
        ),
        "read": lambda section: bars(
            section,
            "Reading, 256 connections",
            "requests per second",
            "per_second",
            {"movies": "the movie list\n(20)", "shows": "shows of a\nmovie (50)", "hello": "axum's\nhello world"},
        ),
        "growth": lambda section: bars(
            section, "Bookings per second as the database grows", a_second, "booked", sizes(section)
        ),
        "connections": over_connections,
    }
    pictures = {name: make(results[name]) for name, make in makers.items() if results.get(name)}
    if results.get("spread"):
        pictures["latency"] = percentiles(results["spread"])
    return pictures
