"""Curves of one training run or several against each other, as one page that needs nothing else, and as a table.

`load_runs` reads what runs left in their folders, finished or not; `render` and `text_table` are pure. Drawn are the
loss (raw and smoothed), validation, the learning rate of the matrices, the gradient norm and the speed; marked is what
happened: updates that were skipped, rollbacks, restarts. Settings in which the runs differ are listed, because a curve
that differs has a reason.
"""

import math
import statistics
from pathlib import Path
from typing import NamedTuple

from nanochat.charts import (Html, Mark, Series, el, escape, format_count, format_duration, line_chart, smooth, thin)
from nanochat.common import UserError
from nanochat.files import read_json
from nanochat.report_page import PAGE, STYLE, section, table
from nanochat.run import STAGES, read_launches, read_metrics, runs_dir

MAX_RUNS = 8               # colours that can be told apart
MAX_EVENTS = 30            # rows of that table, for each run
CUT_OFF = 5                # times its median: where the axis of a gradient norm ends
STEEP = 0.02               # of a run: its loss there is where the axis ends; above, its first steps hide all others
WIDE, TALL = 740, 300      # of the first chart, where there is room for it


class Event(NamedTuple):
    kind: str              # skipped, rollback or restart
    step: int
    text: str


class RunCurves(NamedTuple):
    name: str              # stage/tag, and more of its path where that would not tell them apart
    plan: dict             # of its settings
    settings: dict         # flat: whatever could explain a difference
    metrics: list[dict]
    events: list[Event]
    record: dict | None    # None: not finished


# -----------------------------------------------------------------------------
# Reading

def find_folder(name: str) -> Path:
    """Of base/d4, or of a path."""
    stage, _, tag = name.partition("/")
    folder = runs_dir(stage) / tag if stage in STAGES and tag else Path(name)
    if not (folder / "metrics.jsonl").is_file() or not (folder / "config.json").is_file():
        known = sorted("/".join(path.parts[-3:-1]) for path in runs_dir("*").parent.glob("*/*/metrics.jsonl"))
        raise UserError(f"{name!r} is no run: a stage and tag, or a folder with config.json and metrics.jsonl; "
                        f"there are: {', '.join(known) or 'none yet'}")
    return folder


def load_runs(names: list[str]) -> list[RunCurves]:
    folders = [find_folder(name).absolute() for name in names]
    if len(set(folders)) < len(folders):
        raise UserError(f"{' '.join(names)}: a run is named twice; once is enough")
    most = max(len(folder.parts) for folder in folders)
    depth = next(n for n in range(2, most + 1) if len({folder.parts[-n:] for folder in folders}) == len(folders))
    return [load_run(folder, "/".join(folder.parts[-depth:])) for folder in folders]


def load_run(folder: Path, name: str) -> RunCurves:
    config, metrics, launches = read_json(folder / "config.json"), read_metrics(folder), read_launches(folder)
    try:
        events = [*map(event_of_line, filter(is_event, metrics)), *map(event_of_launch, launches[1:])]
        run = RunCurves(name, config["settings"]["plan"],
                        flatten({**config["settings"], "commit": config["commit"], "device": config["device"],
                                 "world": config["world"]}),
                        metrics, sorted(events, key=lambda event: event.step),
                        read_json(folder / "result.json") if (folder / "result.json").exists() else None)
        has_losses = bool(points(run, "loss"))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} is not a run of these training scripts ({type(error).__name__}: {error})") from None
    if not has_losses:
        raise UserError(f"{name} has made no step yet; wait for its first, or name another run")
    return run


def is_event(line: dict) -> bool:
    return line.get("event") in ("skipped", "rollback")


def event_of_line(line: dict) -> Event:
    if line["event"] == "rollback":
        return Event("rollback", line["step"], f"back from step {line['from_step']:,} after bad steps in a row")
    return Event("skipped", line["step"], f"update skipped: {line['problem']}, loss {line['loss']:.4g}, gradient norm "
                                          f"{line['grad_norm']:.4g}")


def event_of_launch(launch: dict) -> Event:
    commit = f" at {launch['commit'][:7]}" if launch["commit"] else ""
    ranks = "one rank" if launch["world"] == 1 else f"{launch['world']} ranks"
    return Event("restart", launch["step"], f"resumed {launch['time'][:16].replace('T', ' ')} UTC{commit} on {ranks}")


def flatten(settings: dict, prefix: str = "") -> dict:
    """{"plan": {"depth": 4}} -> {"plan.depth": 4}"""
    flat = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


# -----------------------------------------------------------------------------
# Figures

def points(run: RunCurves, key: str, factor: float = 1) -> list[tuple[float, float]]:
    """(step, value) where an update was made. What was skipped is an event."""
    return [(line["step"], line[key] * factor) for line in run.metrics
            if math.isfinite(line.get(key, math.nan)) and line.get("event") != "skipped"]


def last_value(run: RunCurves, key: str) -> float | None:
    values = points(run, key)
    return values[-1][1] if values else None


def smooth_points(run: RunCurves, key: str, factor: float = 1) -> list[tuple[float, float]]:
    return smooth(thin(points(run, key, factor)))


def count_events(run: RunCurves, kind: str) -> int:
    return sum(event.kind == kind for event in run.events)


def seconds(run: RunCurves) -> float:
    return sum(line.get("dt_sec", 0) for line in run.metrics)


def columns(runs: list[RunCurves]) -> dict:
    """{heading: one text for each run}, those columns that some run has something in."""
    def shown(value):
        return f"{value:.4f}" if value is not None else ""
    found = {
        "steps": [format_steps(run) for run in runs],
        "loss": [shown(smooth_points(run, "loss")[-1][1]) for run in runs],
        "val bpb": [shown(last_value(run, "val_bpb")) for run in runs],
        "val loss": [shown(last_value(run, "val_loss")) for run in runs],
        "reward": [shown(smooth_points(run, "reward")[-1][1]) if points(run, "reward") else "" for run in runs],
        "tok/s": [format_count(statistics.median(y for _, y in points(run, "tok_per_sec"))) for run in runs],
        "time": [format_duration(seconds(run)) for run in runs],
        **{name: [str(count_events(run, kind) or "") for run in runs]
           for name, kind in (("skipped", "skipped"), ("rollbacks", "rollback"), ("restarts", "restart"))}}
    return {name: values for name, values in found.items() if any(values)}


def format_steps(run: RunCurves) -> str:
    done, planned = run.metrics[-1]["step"], run.plan.get("num_iterations")
    return f"{done:,}" if run.record or not planned else f"{done:,} of {planned:,}"


def differences(runs: list[RunCurves]) -> dict:
    """{setting: one text for each run}, those that are not the same everywhere."""
    names = dict.fromkeys(key for run in runs for key in run.settings)
    found = {name: [format_setting(run.settings.get(name)) for run in runs] for name in names}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def format_setting(value) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return "–" if value is None else text if len(text) <= 24 else text[:12] + "…"


def text_table(runs: list[RunCurves]) -> str:
    """For a terminal: a line for each run."""
    cells = {"run": [run.name for run in runs], **columns(runs)}
    width = {name: max(map(len, (name, *values))) for name, values in cells.items()}
    rows = [list(cells), *zip(*cells.values())]
    return "\n".join("  ".join(text.ljust(size) if i == 0 else text.rjust(size)
                               for i, (text, size) in enumerate(zip(row, width.values()))).rstrip() for row in rows)


# -----------------------------------------------------------------------------
# The page

class View(NamedTuple):
    """What the charts of a page share."""
    runs: list[RunCurves]
    x: str                   # steps or tokens
    per_step: list[float]    # of that, for each run


def render(runs: list[RunCurves], x: str) -> str:
    """The whole file. x is "steps" or "tokens"."""
    view = View(runs, x, [tokens_per_step(run) if x == "tokens" else 1 for run in runs])
    title = f"{runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs against each other"
    figures = [against_first(view), validation(view, "val_bpb", "bits per byte"),
               validation(view, "val_loss", "nats per token"),
               both(view, "reward", "Reward", "Mean of the answers sampled for a step.", including=(0, 1)),
               norms(view), rates(view),
               both(view, "tok_per_sec", "Speed", "Tokens per second.", including=(0,))]
    body = [el("header", el("p", el("b", "nanochat"), el("span", "training curves"), class_="brand"), el("h1", title),
               el("p", lead(runs[0]), class_="lead") if len(runs) == 1 else None),
            el("div", summary(runs), class_="failures"),
            section("Loss", *losses(view)),
            section("Details", el("div", figures, class_="columns")),
            section("What happened", *happenings(runs)),
            section("What differs", *settings_table(runs))]
    return PAGE.format(title=escape(f"nanochat: {title}"), style=STYLE + MORE_STYLE, body=escape(body))


def lead(run: RunCurves) -> str:
    tokens = f" of {run.plan['total_batch_size']:,} tokens" if "total_batch_size" in run.plan else ""
    return f"{format_steps(run)} steps{tokens} in {run.settings['dtype']} on {run.settings['device']}."


def tokens_per_step(run: RunCurves) -> int:
    if "total_batch_size" not in run.plan:
        raise UserError(f"--x tokens: {run.name} has no fixed number of tokens a step; use --x steps")
    return run.plan["total_batch_size"]


def summary(runs: list[RunCurves]) -> Html:
    found = columns(runs)
    names = [el("th", run.name, None if run.record else el("small", "not finished"), scope="row", class_=f"key r{i}")
             for i, run in enumerate(runs)]
    return table("run", list(found), [el("tr", name, [el("td", values[i] or "–") for values in found.values()])
                                      for i, name in enumerate(names)])


def series(view: View, kind: str, curves: list[list[tuple[float, float]]]) -> list[Series]:
    """One for each run that has any points, in its colour. `curves` are over steps."""
    return [Series(f"{kind} r{i}", along(view, i, values)) for i, values in enumerate(curves) if values]


def along(view: View, i: int, values: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(step * view.per_step[i], y) for step, y in values]


def below(top: float, values: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, min(y, top)) for x, y in values]


def marks(view: View) -> list[Mark]:
    return [Mark(f"mark {event.kind} r{i}", event.step * view.per_step[i],
                 f"{run.name}, step {event.step:,}: {event.text}")
            for i, run in enumerate(view.runs) for event in run.events]


def losses(view: View) -> list[Html]:
    raw = [thin(points(run, "loss")) for run in view.runs]
    smoothed = [smooth(values) for values in raw]
    top = max(values[int(STEEP * len(values))][1] for values in smoothed)
    drawn = [*series(view, "faint", [below(top, values) for values in raw]),
             *series(view, "line", [below(top, values) for values in smoothed])]
    how = dict(x_label=view.x, y_label="loss, nats per token", marks=marks(view))
    return [key(view.runs), el("div", line_chart(drawn, **how, width=WIDE, height=TALL), class_="wide"),
            el("div", line_chart(drawn, **how), class_="narrow")]


def key(runs: list[RunCurves]) -> Html:
    names = {"skipped": "update skipped", "rollback": "rollback", "restart": "restart"}
    return el("p", [el("span", run.name, class_=f"key r{i}") for i, run in enumerate(runs)],
              [el("span", name, class_=f"sign {kind}") for kind, name in names.items()
               if any(count_events(run, kind) for run in runs)], class_="legend")


def against_first(view: View) -> Html | None:
    """Smoothed losses minus the first run's, from a tenth of the way on, where curves no longer fall steeply."""
    first, *others = (along(view, i, smooth_points(run, "loss")) for i, run in enumerate(view.runs))
    begin, end = max(first[0][0], 0.1 * first[-1][0]), first[-1][0]
    shared = [[(x, y - interpolate(first, x)) for x, y in other if begin <= x <= end] for other in others]
    drawn = [Series(f"line r{i}", values) for i, values in enumerate(shared, 1) if values]
    return figure("Against the first", f"Smoothed loss minus that of {view.runs[0].name}; below the line is better.",
                  line_chart(drawn, x_label=view.x, y_label="difference of loss", including=(0,),
                             rules=[(0, "the first")])) if drawn else None


def interpolate(curve: list[tuple[float, float]], x: float) -> float:
    """y at an x within the curve, which ascends in x."""
    after = next(i for i, (at, _) in enumerate(curve) if at >= x)
    (x1, y1), (x2, y2) = curve[max(after - 1, 0)], curve[after]
    return y2 if x1 == x2 else y1 + (y2 - y1) * (x - x1) / (x2 - x1)


def validation(view: View, name: str, unit: str) -> Html | None:
    """None for single evaluations, which the table says better."""
    found = [points(run, name) for run in view.runs]
    chart = max(map(len, found)) > 1 and line_chart(series(view, "dots", found), x_label=view.x, y_label=unit)
    return figure("Validation", "On what it has not seen.", chart) if chart else None


def both(view: View, name: str, title: str, caption: str, **how) -> Html | None:
    """A figure with raw and smoothed values."""
    raw = [thin(points(run, name)) for run in view.runs]
    drawn = [*series(view, "faint", raw), *series(view, "line", [smooth(values) for values in raw])]
    return figure(title, caption, line_chart(drawn, x_label=view.x, y_label=title.lower(), **how)) if drawn else None


def norms(view: View) -> Html:
    """One spike must not flatten all the rest."""
    raw = [points(run, "grad_norm") for run in view.runs]
    top = CUT_OFF * statistics.median(y for values in raw for _, y in values)
    is_cut = any(y > top for values in raw for _, y in values)
    low = [thin(below(top, values)) for values in raw]
    drawn = [*series(view, "faint", low), *series(view, "line", [smooth(values) for values in low])]
    return figure("Gradient norm", "Of the mean gradient" + (f", cut off at {top:.3g}." if is_cut else "."),
                  line_chart(drawn, x_label=view.x, y_label="gradient norm", including=(0,), marks=marks(view)))


def rates(view: View) -> Html:
    """lr_mult times the peak of the matrices; the other groups move with it."""
    found = [thin(points(run, "lr_mult", run.plan["matrix_lr"])) for run in view.runs]
    return figure("Learning rate", "Of the hidden matrices (Muon); the others move with it.",
                  line_chart(series(view, "line", found), x_label=view.x, y_label="learning rate", including=(0,)))


def figure(title: str, caption: str, chart: Html) -> Html:
    return el("figure", el("figcaption", el("b", title), " ", caption), chart)


def happenings(runs: list[RunCurves]) -> list[Html]:
    rows = [el("tr", el("th", el("span", run.name, class_=f"key r{i}"), scope="row"), el("td", f"{event.step:,}"),
               el("td", event.text, class_="said"))
            for i, run in enumerate(runs) for event in run.events[-MAX_EVENTS:]]
    return [el("div", table("run", ["step", el("span", "what", class_="said")], rows), class_="events")] if rows else []


def settings_table(runs: list[RunCurves]) -> list[Html]:
    found = differences(runs)
    if not found:
        said = "Nothing that is recorded: settings, data, commit and machine are the same."
        return [el("p", said, class_="fine")] if len(runs) > 1 else []
    rows = [el("tr", el("th", name, scope="row"), [el("td", value) for value in values])
            for name, values in found.items()]
    return [el("div", table("setting", [run.name for run in runs], rows), class_="events")]


MORE_STYLE = """
:root { --r0: #176b5b; --r1: #b9832c; --r2: #3f6fa8; --r3: #95508a;
  --r4: #b4472f; --r5: #6b8e23; --r6: #2b8c9e; --r7: #7a6a58; }
@media (prefers-color-scheme: dark) {
  :root { --r0: #5fb7a2; --r1: #cc9f57; --r2: #7199cd; --r3: #bd82b3;
    --r4: #e08a72; --r5: #a3c465; --r6: #63bccb; --r7: #b3a08c; } }
.r0 { --c: var(--r0); } .r1 { --c: var(--r1); } .r2 { --c: var(--r2); } .r3 { --c: var(--r3); }
.r4 { --c: var(--r4); } .r5 { --c: var(--r5); } .r6 { --c: var(--r6); } .r7 { --c: var(--r7); }
header + .failures { margin-top: 2rem; overflow-x: auto; }
header + .failures, .events { overflow-wrap: normal; }
thead th, th.key, .events th, .events td:not(.said) { white-space: nowrap; }
th.key small { display: block; margin-left: 1.025rem; color: var(--soft); font-size: .6875rem; }
figcaption b { color: var(--ink); }
.narrow { display: none; }
.mark { stroke: var(--c); stroke-width: 1; opacity: .7; }
.skipped { --c: var(--bad); } .rollback { --c: var(--bad); }
.mark.skipped { opacity: .35; } .mark.rollback { stroke-width: 2; } .mark.restart { stroke-dasharray: 3 4; }
.sign { color: var(--soft); } .sign::before { content: ""; display: inline-block; width: 0; height: .875rem;
  margin: 0 .5rem -.125rem .25rem; border-left: 1px solid var(--bad); }
.sign.rollback::before { border-left-width: 2px; } .sign.restart::before { border-left: 1px dashed var(--soft); }
.events { overflow-x: auto; }
.events td { padding-left: 1rem; }
.said { min-width: 12rem; text-align: left; color: var(--soft); }
thead .said { display: block; margin-left: .5rem; }
@media (max-width: 40rem) { .wide { display: none; } .narrow { display: block; } }
"""
