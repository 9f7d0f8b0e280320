"""Charts of a run, as SVG, from the run's own data: CPU per call-second and one-way delay against calls, one panel per
format, one line per relay. Plain text, no library; colours and weights hold on light and dark ground."""
from html import escape

WIDTH, HEIGHT = 960, 400
LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 64, 92, 360, 234
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .small { font-size: 12px; fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 } .axis { stroke: #57606a; stroke-width: 1; fill: none }
  .ground { fill: #ffffff } .line { fill: none; stroke-width: 2.5 } .dash { stroke-dasharray: 6 4 }
  .floor { stroke: #57606a; fill: #57606a } .edge { stroke: #0969da; fill: #0969da } .edge-tls { stroke: #8250df; fill: #8250df }
  .node { stroke: #1a7f37; fill: #1a7f37 } .go { stroke: #bc4c00; fill: #bc4c00 } path.line { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #30363d } .axis { stroke: #9198a1 } .ground { fill: #0d1117 }
    .floor { stroke: #9198a1; fill: #9198a1 } .edge { stroke: #4493f8; fill: #4493f8 } .edge-tls { stroke: #ab7df8; fill: #ab7df8 }
    .node { stroke: #3fb950; fill: #3fb950 } .go { stroke: #f0883e; fill: #f0883e } path.line { fill: none }
  }"""
RELAYS = [("floor", "floor: bytes only"), ("edge", "ringbridge edge"), ("edge-tls", "edge, TLS on both legs"), ("node", "Node: fastify, ws"),
          ("go", "Go: gorilla")]
FORMATS = [("pcmu", "AI speaks mu-law: passed through"), ("pcm", "AI speaks PCM 24 kHz: converted")]


def series(results, audio_format, read):
    """relay -> [(calls, value)], by calls; where a number of calls was measured twice, the sweep's."""
    lines = {}
    for result in results:
        if result["format"] != audio_format or "relay" not in result or result["kind"] not in ("cost", "sweep", "half load"):
            continue
        name = result["relay_name"] + ("-tls" if result["tls"] else "")
        if name not in dict(RELAYS):
            continue
        lines.setdefault(name, {})[result["calls"]] = read(result)
    return {name: sorted(points.items()) for name, points in lines.items()}


def nice_step(most, ticks):
    step = 10 ** len(str(int(most)))
    for factor in (2, 2.5, 2) * 8:
        if most / (step / factor) > ticks:
            break
        step /= factor
    return step


class Panel:
    """One set of axes. log: powers of ten upward from the first one that is needed."""

    def __init__(self, left, x_most, y_least, y_most, log):
        self.left, self.x_most, self.log = left, max(x_most, 1), log
        self.y_least, self.y_most = y_least, y_most
        self.parts = []

    def x(self, calls):
        return self.left + PLOT_WIDTH * calls / self.x_most

    def y(self, value):
        if not self.log:
            return TOP + PLOT_HEIGHT * (1 - value / self.y_most)
        from math import log10
        share = (log10(max(value, self.y_least)) - log10(self.y_least)) / (log10(self.y_most) - log10(self.y_least))
        return TOP + PLOT_HEIGHT * (1 - min(share, 1))

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def y_ticks(self):
        if self.log:
            value = self.y_least
            while value <= self.y_most:
                yield value
                value *= 10
            return
        step = nice_step(self.y_most, 6)
        for i in range(int(self.y_most / step) + 1):
            yield i * step

    def axes(self, title, unit):
        bottom = TOP + PLOT_HEIGHT
        self.text(self.left, TOP - 30, title)
        self.text(self.left - 8, TOP - 10, unit, "small")
        for value in self.y_ticks():
            self.parts.append(f'<path class="grid" d="M{self.left} {self.y(value):.1f}h{PLOT_WIDTH}"/>')
            self.text(self.left - 8, self.y(value) + 4, f"{value:g}", "small", "end")
        step = nice_step(self.x_most, 6)
        for i in range(int(self.x_most / step) + 1):
            self.text(self.x(i * step), bottom + 18, f"{i * step:g}", "small", "middle")
        self.text(self.left + PLOT_WIDTH / 2, bottom + 36, "calls at once", "small", "middle")
        self.parts.append(f'<path class="axis" d="M{self.left} {TOP}V{bottom}H{self.left + PLOT_WIDTH}"/>')

    def line(self, name, points, dashed=False):
        path = "".join(f"{'L' if i else 'M'}{self.x(calls):.1f} {self.y(value):.1f}" for i, (calls, value) in enumerate(points))
        self.parts.append(f'<path class="line {name}{" dash" if dashed else ""}" d="{path}"/>')
        for calls, value in points:
            self.parts.append(f'<circle class="{name}" cx="{self.x(calls):.1f}" cy="{self.y(value):.1f}" r="{2 if dashed else 3.5}"/>')


def legend(names, notes):
    parts, x, y = [], LEFT, HEIGHT - 14
    for name, words in RELAYS:
        if name in names:
            parts.append(f'<path class="line {name}" d="M{x} {y - 4}h22"/><text x="{x + 28}" y="{y}">{escape(words)}</text>')
            x += 44 + 7 * len(words)
    parts.append(f'<text x="{WIDTH - 16}" y="26" class="small" text-anchor="end">{escape(notes)}</text>')
    return parts


def chart(title, notes, panels, names):
    parts = [part for panel in panels for part in panel.parts] + legend(names, notes)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
            f"<title>{escape(title)}</title><style>{STYLE}\n</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>"
            f'<text x="{LEFT - 48}" y="28" class="title">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n")


def draw(data, title, unit, lines, log):
    """lines: [(read, dashed)]; every line of a relay has its colour."""
    facts, panels, names = data["machine"], [], set()
    for i, (audio_format, words) in enumerate(FORMATS):
        drawn = [(series(data["results"], audio_format, read), dashed) for read, dashed in lines]
        points = [point for by_relay, _ in drawn for line in by_relay.values() for point in line]
        if not points:
            continue
        values = [value for _, value in points]
        least, most = (0.01, 10 ** len(str(int(max(values))))) if log else (0, 1.08 * max(values))
        panel = Panel(LEFT + i * (WIDTH // 2), max(calls for calls, _ in points) * 1.03, least, most, log)
        panel.axes(words, unit)
        for by_relay, dashed in drawn:
            for name, line in by_relay.items():
                panel.line(name, line, dashed)
                names.add(name)
        panels.append(panel)
    return chart(title, f"{facts['cpu']}, Linux {facts['kernel'].split('-')[0]}, {facts['date'][:10]}", panels, names)


def worse(key):
    return lambda result: max(result["up"][key], result["down"][key]) / 1000


def write_all(data, directory):
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"cpu": draw(data, "CPU of one core per call-second", "µs", [(lambda r: r["relay"]["cpu_us_per_call_second"], False)], False),
             "latency": draw(data, "One-way delay through the relay: p99 (lines) and p50 (dashed)", "ms, worse of up and down",
                             [(worse("p99_us"), False), (worse("p50_us"), True)], True)}
    paths = []
    for name, text in texts.items():
        paths.append(directory / f"{name}.svg")
        paths[-1].write_text(text)
    return paths
