"""Markup that data cannot break, figures for people, and the report's charts as SVG written by hand.

Whatever enters an element is escaped unless it is `Html`, and only elements are. Charts are drawn in units of about
a pixel on a phone and scale with the page; colours and fonts come from the page's style sheet, so that they follow
light and dark.
"""

import html
import math
import re
from typing import NamedTuple

MAX_POINTS = 240                           # of a curve: more than a phone has pixels for
WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 26, 34   # margins around the plotted area of a line chart
LABEL_WIDTH, LANE = 78, 10                 # of an interval chart: for the names, and per dot


# -----------------------------------------------------------------------------
# Markup

class Html(str):
    """Text that is markup already."""


def el(name: str, *children, **attributes) -> Html:
    """An element. class_ is class, stroke_width is stroke-width; children may be lists, None is nothing.

    >>> el("b", "<i>", title='"')
    '<b title="&quot;">&lt;i&gt;</b>'
    """
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{words}>{escape(children)}</{name}>")


def escape(value) -> str:
    if value is None or isinstance(value, Html):
        return value or ""
    if isinstance(value, (list, tuple)):
        return "".join(map(escape, value))
    # control characters and half surrogates, which models do write, have no place in an HTML file
    return html.escape(re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", str(value)))


# -----------------------------------------------------------------------------
# Figures for people

def format_count(value: float) -> str:
    """At most three figures: 4096 -> '4.1k', 3670016 -> '3.67M'."""
    for factor, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.3g}"


def format_bytes(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.0f} MiB"


def format_duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds >= 20 * 60:  # as many figures as a tile of the report card holds
        seconds = 60 * round(seconds / 60)
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes / 60:.{1 if minutes < 6000 else 0}f} h"
    return f"{minutes} min {seconds} s" if 0 < minutes < 20 else f"{minutes} min" if minutes else f"{seconds} s"


def format_money(usd: float) -> str:
    if usd < 0.001:
        return "< 0.1 cent"
    if usd < 0.995:
        cents = two_figures(100 * usd)
        return f"{cents} cent" if cents == "1" else f"{cents} cents"
    return f"${usd:,.2f}" if usd < 10 else f"${usd:,.0f}"


def format_energy(kwh: float) -> str:
    return f"{two_figures(1000 * kwh)} Wh" if kwh < 0.995 else f"{two_figures(kwh)} kWh"


def two_figures(value: float) -> str:
    """As befits a guess: 0.00352 -> '0.0035', 4567 -> '4,600'."""
    return f"{float(f'{value:.2g}'):,g}"


def format_percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


# -----------------------------------------------------------------------------
# Curves

class Series(NamedTuple):
    kind: str                            # its classes in the style sheet: line, faint or dots, and perhaps a colour's
    points: list[tuple[float, float]]


class Mark(NamedTuple):
    """Something that happened at x: a vertical line through the plot."""
    kind: str                            # its classes in the style sheet
    x: float
    title: str


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from at or below low to at or above high, 1, 2 or 5 times a power of ten apart.

    >>> ticks(0, 870)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    if math.isclose(low, high):
        low, high = low - 0.5, high + 0.5
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if high - low <= most * power * factor * (1 + 1e-9))
    return [i * step for i in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def thin(points: list[tuple[float, float]], most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: means of equally many neighbours."""
    size = math.ceil(len(points) / most) or 1
    groups = [points[i:i + size] for i in range(0, len(points), size)]
    return [tuple(sum(column) / len(group) for column in zip(*group)) for group in groups]


def smooth(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Running mean of y over a twentieth of the curve, centred, so that it does not lag."""
    reach = len(points) // 40
    windows = [points[max(0, i - reach):i + reach + 1] for i in range(len(points))]
    return [(x, sum(y for _, y in window) / len(window)) for (x, _), window in zip(points, windows)]


def line_chart(series: list[Series], *, x_label: str, y_label: str, rules: list[tuple[float, str]] = (),
               including: tuple[float, ...] = (), marks: list[Mark] = (), width: int = WIDTH,
               height: int = HEIGHT) -> Html:
    """Curves on one pair of axes. `rules` are levels to compare with, (y, name); the y axis reaches to all of
    `including`, whatever the curves do."""
    xs, ys = zip(*(point for one in series for point in one.points))
    ys = [*ys, *(y for y, _ in rules), *including]
    x_end, y_ticks = max(xs), ticks(min(ys), max(ys))
    right, foot = width - RIGHT, height - BOTTOM
    plot_width, plot_height = right - LEFT, foot - TOP

    def x_at(x):
        return LEFT + x / (x_end or 1) * plot_width

    def y_at(y):
        return TOP + (y_ticks[-1] - y) / (y_ticks[-1] - y_ticks[0]) * plot_height

    def level(y, kind):
        return el("line", x1=LEFT, x2=right, y1=f"{y_at(y):.1f}", y2=f"{y_at(y):.1f}", class_=kind)

    drawn = [el("text", y_label, x=0, y=11), el("text", x_label, x=right, y=height - 2, text_anchor="end")]
    for y in y_ticks:
        drawn += [level(y, "grid"),
                  el("text", format_count(y), x=LEFT - 6, y=f"{y_at(y) + 4:.1f}", text_anchor="end")]
    drawn += [el("text", format_count(x), x=f"{x_at(x):.1f}", y=foot + 16, text_anchor="middle")
              for x in ticks(0, x_end, most=width // 72) if x <= x_end]
    for y, name in rules:
        drawn += [level(y, "rule"),
                  el("text", name, x=right, y=f"{y_at(y) - 5:.1f}", text_anchor="end", class_="ink")]
    drawn += [el("line", el("title", mark.title), x1=f"{x_at(mark.x):.1f}", x2=f"{x_at(mark.x):.1f}", y1=TOP, y2=foot,
                 class_=mark.kind) for mark in marks if mark.x <= x_end]
    for one in series:
        drawn += curve(one, [(f"{x_at(x):.1f}", f"{y_at(y):.1f}") for x, y in one.points])
    return svg(height, drawn, f"{y_label} over {x_label}", width)


def curve(series: Series, places: list[tuple[str, str]]) -> list[Html]:
    kinds = series.kind.split()
    marks = [el("path", d="M" + "L".join(f"{x},{y}" for x, y in places), class_=series.kind)]
    if "dots" in kinds:
        colour = {"class_": " ".join(kind for kind in kinds if kind != "dots")} if len(kinds) > 1 else {}
        marks += [el("circle", el("title", f"{format_count(x)}: {y:.4g}"), cx=cx, cy=cy, r=3.2, **colour)
                  for (x, y), (cx, cy) in zip(series.points, places)]
    return marks


def svg(height: float, marks: list, label: str, width: float = WIDTH) -> Html:
    return el("svg", marks, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


# -----------------------------------------------------------------------------
# Values with their intervals

class Dot(NamedTuple):
    value: float
    low: float
    high: float
    title: str


def interval_chart(skills: dict, stages: list[str]) -> Html:
    """{skill: {stage: {accuracy, ci95, n}}}: a row per skill; in it, from the top, a dot and its interval per stage."""
    rows = {skill: {stage: Dot(score["accuracy"], *score["ci95"],
                               f"{skill}, {stage}: {format_percent(score['accuracy'])} of {score['n']}")
                    for stage, score in scores.items()} for skill, scores in skills.items()}
    return dot_chart(rows, stages, [(share, format_percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)],
                     "accuracy by skill and stage, with 95% intervals")


def change_chart(skills: dict, stages: list[str]) -> Html:
    """The same of each score's `change`, in points; the line at 0 is where nothing changed."""
    rows = {skill: {stage: Dot(*(100 * share for share in (change["difference"], *change["ci95"])),
                               f"{skill}, {stage} since {change['since']}: {100 * change['difference']:+.1f} points")
                    for stage, score in scores.items() if (change := score.get("change"))}
            for skill, scores in skills.items()}
    bounds = [bound for dots in rows.values() for dot in dots.values() for bound in (dot.low, dot.high)]
    return dot_chart(rows, stages, [(x, f"{x:+.0f}" if x else "0") for x in ticks(min(0, *bounds), max(0, *bounds))],
                     "change of accuracy by skill and stage in points, with paired 95% intervals", zero=0)


def dot_chart(rows: dict[str, dict[str, Dot]], stages: list[str], x_ticks: list[tuple[float, str]], label: str,
              zero: float | None = None) -> Html:
    """A row per name, in it a dot and its interval per stage; the first and the last tick are the ends of the axis."""
    row = LANE * (len(stages) + 1.2)
    bottom, (first, last) = 4 + row * len(rows), (x_ticks[0][0], x_ticks[-1][0])

    def x_at(value):
        return f"{LABEL_WIDTH + (value - first) / (last - first) * (WIDTH - LABEL_WIDTH - 16):.1f}"

    marks = [el("rect", x=-6, y=f"{4 + row * i:.1f}", width=WIDTH + 6, height=f"{row:.1f}", rx=4, class_="band")
             for i in range(0, len(rows), 2)]
    for x, name in x_ticks:
        marks += [el("line", x1=x_at(x), x2=x_at(x), y1=4, y2=f"{bottom:.1f}", class_="zero" if x == zero else "grid"),
                  el("text", name, x=x_at(x), y=f"{bottom + 16:.1f}", text_anchor="middle")]
    for i, (name, dots) in enumerate(rows.items()):
        top = 4 + row * i
        marks.append(el("text", name, x=0, y=f"{top + row / 2 + 4:.1f}", class_="ink"))
        for stage, dot in dots.items():
            y = f"{top + LANE * (stages.index(stage) + 1.1):.1f}"
            marks += [el("line", x1=x_at(dot.low), x2=x_at(dot.high), y1=y, y2=y, class_=f"interval {stage}"),
                      el("circle", el("title", dot.title), cx=x_at(dot.value), cy=y, r=3.6, class_=stage)]
    return svg(round(bottom + 22, 1), marks, label)
