"""The report card as one page that needs nothing else: styles and SVG inline, no script, no request.

`render` is a pure function of the card; a section without data is absent. Colours follow the reader's system, and two
columns become one on a phone. A stage has one colour throughout.
"""

import json
import math
import re

from nanochat.charts import (Html, Series, change_chart, el, escape, format_bytes, format_count, format_duration,
                             format_energy, format_money, format_percent, interval_chart, line_chart, smooth,
                             thin, two_figures)
from nanochat.report import BPB, STAGE_NAMES, Card, Stage, chat_evals
from nanochat.run import STAGES
from nanochat.task_eval import in_turn

EVALUATION_NOTES = {  # shown where a row's title has the word
    BPB: "Bits per byte are of the base model's validation text, less is better.",
    "CORE": "CORE and ChatCORE are means of tasks on a scale where 0 is a guesser.",
    "pass@": "pass@k: how often one of k sampled answers is right, on RL's validation questions before and after it.",
    "": "Single tasks are shares of right answers, or of those that do what the row says. Small figures are 95% "
        "intervals over rows or items; two training runs differ by more."}
MAX_SAMPLES = 12   # right answers shown, and as many wrong ones
MAX_FAILURES = 12  # rows of that table
MAX_CHARS = 600    # of one text of a sample
MAX_GIST = 80      # of a question or an answer in a table
BASELINES = (("zstd19", "zstd -19"), ("byte_unigram", "byte frequencies"))
BIG_WORDS = {"k": " thousand", "M": " million", "B": " billion", "T": " trillion"}


def render(card: Card) -> str:
    """The whole file, as text."""
    report, stages = card.report, card.stages
    body = [header(report), tiles(report),
            el("p", " ".join(report["missing"]), class_="missing") if report["missing"] else None,
            section("Talking with it", *gallery(stages)),
            section("What it can do", *skills(report["skills"])),
            section("What each stage changed", *changes(report["skills"])),
            section("Where it goes wrong", *failures(report["failures"])),
            section("Evaluations", *evaluations(report["tasks"])),
            section("What of them stood in the training text", *contamination(report["contamination"])),
            section("Answers, right and wrong", *answers(stages)),
            section("The same openings after each stage", *side_by_side(stages)),
            section("How it learned", *learning(report, stages)),
            section("What the base model writes by itself", *writings(stages)),
            section("What it cost", *wall_clock(report["stages"]), guess(report["cost"])),
            section("How to make it again", command_lines(card.commands), facts(report))]
    return PAGE.format(title=escape(f"nanochat: {report['tag']}"), style=STYLE, body=escape(body))


def section(title: str, *children) -> Html | None:
    return el("section", el("h2", title), children) if children else None


# -----------------------------------------------------------------------------
# The first screen

def header(report: dict) -> Html:
    model, machine = report["model"], report["machine"]
    device = re.sub(r"\((R|TM)\)", "", machine["device"])
    device += f" x {machine['world']}" if machine["world"] > 1 else ""
    params = format_count(model["params"])
    params = params[:-1] + BIG_WORDS[params[-1]] if params[-1] in BIG_WORDS else params
    return el("header", el("p", el("b", "nanochat"), el("span", f"report card of {report['tag']}"), class_="brand"),
              el("h1", f"{params} parameters, trained {'from nothing ' if 'base' in report['stages'] else ''}in ",
                 el("em", format_duration(report["total_sec"]))),
              el("p", f"{model['depth']} layers of width {model['width']}, a vocabulary of {model['vocab_size']:,} and "
                      f"{model['context']:,} tokens of context. Trained on {device}.", class_="lead"))


def tiles(report: dict) -> Html:
    model, bpb, memory, cost = (report[key] for key in ("model", "bits_per_byte", "peak_rss_bytes", "cost"))
    speed = next(((row["tok_per_sec"], STAGE_NAMES[name]) for name, row in report["stages"].items()
                  if "tok_per_sec" in row), None)
    baselines = [f"{name} {bpb[key]:.2f}" for key, name in BASELINES if bpb[key]]
    shown = [("Parameters", format_count(model["params"]), f"{model['depth']} layers, {model['heads']} heads"),
             ("Wall clock", format_duration(report["total_sec"]), f"{len(report['stages'])} stages"),
             ("Cost", format_money(cost["usd_rent"]), f"rented, a guess; {format_energy(cost['kwh'])}"),
             speed and ("Tokens per second", format_count(speed[0]), f"{speed[1]} training"),
             memory and ("Peak memory", format_bytes(memory), "of the largest process"),
             bpb["model"] and ("Bits per byte", f"{bpb['model']:.3f}", " · ".join(baselines) or "on validation text")]
    return el("dl", [el("div", el("dt", name), el("dd", value), el("dd", note, class_="fine"))
                     for name, value, note in filter(None, shown)], class_="tiles")


# -----------------------------------------------------------------------------
# Curves

def learning(report: dict, stages: dict[str, Stage]) -> list[Html]:
    figures = []
    for name, stage in stages.items():
        figures += [reward_figure(stage)] if name == "rl" else [loss_figure(name, stage)]
        figures += [bpb_figure(stage, report["bits_per_byte"])] if name == "base" else []
    figures = [figure for figure in figures if figure]
    return [el("div", figures, class_="columns")] if figures else []


def points(stage: Stage, key: str, scale: float = 1) -> list[tuple[float, float]]:
    return [(line["step"] * scale, line[key]) for line in stage.metrics if math.isfinite(line.get(key, math.nan))]


def batch_tokens(stage: Stage) -> int:
    return stage.config["settings"]["plan"]["total_batch_size"]


def loss_figure(name: str, stage: Stage) -> Html | None:
    losses, record = thin(points(stage, "loss", batch_tokens(stage))), stage.record
    if not losses:
        return None
    val = points(stage, "val_loss", batch_tokens(stage))
    caption = f"Ends at {record['final_loss']:.3f}" if math.isfinite(record["final_loss"]) else "It diverged"
    caption += f", {record['val_bpb']:.3f} bits per byte of validation text" if record.get("val_bpb") else ""
    caption += f", {record['val_loss']:.3f} on validation answers (dots)" if record.get("val_loss") else ""
    series = [Series("faint", losses), Series("line", smooth(losses))] + ([Series("dots", val)] if val else [])
    return figure(name, STAGE_NAMES[name], caption + ".",
                  line_chart(series, x_label="tokens", y_label="loss, nats per token"))


def bpb_figure(stage: Stage, bpb: dict) -> Html | None:
    """None for a single evaluation, which the tile says better."""
    val = points(stage, "val_bpb", batch_tokens(stage))
    if len(val) < 2:
        return None
    rules = [(bpb[key], f"{name} {bpb[key]:.2f}") for key, name in BASELINES if bpb[key]]
    caption = "Text it has not seen" + (", beside codes that need no model." if rules else ".")
    chart = line_chart([Series("dots", val)], x_label="tokens", y_label="bits per byte", rules=rules, including=(0,))
    return figure("base", "Base, validation", caption, chart)


def reward_figure(stage: Stage) -> Html | None:
    rewards = thin(points(stage, "reward"))
    if not rewards:
        return None
    evals = [line for line in stage.metrics if line.get("event") == "eval"]
    series = [Series("faint", rewards), Series("line", smooth(rewards))]
    caption = "Reward of sampled answers"
    if evals:
        last = evals[-1]["accuracy"]
        series += [Series("dots", [(line["step"], line["accuracy"][skill]) for line in evals]) for skill in last]
        ending = ", ".join(f"{skill} {format_percent(share)}" for skill, share in last.items())
        caption += f"; dots: greedy accuracy on validation questions, at the end {ending}"
    is_high = max(y for part in series for _, y in part.points) > 0.25
    chart = line_chart(series, x_label="steps", y_label="mean reward", including=(0, 1 if is_high else 0.1))
    return figure("rl", "RL", caption + ".", chart)


def figure(stage: str, title: str, caption: str, chart: Html) -> Html:
    return el("figure", el("figcaption", el("b", title), " ", caption), chart, class_=stage)


# -----------------------------------------------------------------------------
# Skills

def measured_stages(scores: dict) -> list[str]:
    return [stage for stage in STAGES if any(stage in by_stage for by_stage in scores.values())]


def skills(scores: dict) -> list[Html]:
    stages = measured_stages(scores)
    if not stages:
        return []
    rows = [el("tr", el("th", skill, scope="row"), [score_cell(by_stage.get(stage)) for stage in stages],
               el("td", max(score["n"] for score in by_stage.values()))) for skill, by_stage in scores.items()]
    heads = [*(STAGE_NAMES[stage] for stage in stages), "n"]
    return [el("p", "Greedy answers to questions it has not seen, strictly graded. Lines and small figures are 95% "
                    "intervals.", class_="fine"), legend(stages),
            el("div", el("div", interval_chart(scores, stages)), table("accuracy", heads, rows), class_="columns")]


def changes(scores: dict) -> list[Html]:
    """Of the stages that were measured on the same questions as the one before them."""
    changed = {skill: {stage: score["change"] for stage, score in by_stage.items() if "change" in score}
               for skill, by_stage in scores.items()}
    stages = measured_stages(changed)
    if not stages:
        return []
    since = {stage: change["since"] for by_stage in changed.values() for stage, change in by_stage.items()}
    rows = [el("tr", el("th", skill, scope="row"), [change_cell(by_stage.get(stage)) for stage in stages])
            for skill, by_stage in changed.items()]
    heads = [f"{STAGE_NAMES[stage]} since {STAGE_NAMES[since[stage]]}" for stage in stages]
    return [el("p", "The same questions before and after, in points: paired 95% intervals, and p of the exact McNemar "
                    "test; bold where p is below 0.05.", class_="fine"), legend(stages),
            el("div", el("div", change_chart(scores, stages)), table("change", heads, rows), class_="columns")]


def legend(stages: list[str]) -> Html:
    return el("p", [el("span", STAGE_NAMES[stage], class_=f"key {stage}") for stage in stages], class_="legend")


def table(title: str, heads: list[str], rows: list[Html]) -> Html:
    head = el("tr", [el("th", name, scope="col") for name in (title, *heads)])
    return el("table", el("thead", head), el("tbody", rows))


def score_cell(score: dict | None) -> Html:
    if score is None:
        return el("td", "–")
    digits = 1 if score["ci95"][1] < 0.1 else 0
    low, high = (f"{100 * bound:.{digits}f}" for bound in score["ci95"])
    return el("td", format_percent(score["accuracy"]), el("small", f"{low}–{high}"))


def change_cell(change: dict | None) -> Html:
    if change is None:
        return el("td", "–")
    difference, low, high = (f"{100 * share:+.1f}".replace("-", "\u2212")
                             for share in (change["difference"], *change["ci95"]))
    p = "p < 0.001" if change["p"] < 0.001 else f"p {change['p']:.2g}"
    difference = el("b" if change["p"] < 0.05 else "span", difference if change["difference"] else "0")
    return el("td", difference, el("small", f"{low} to {high}"), el("small", p))


def failures(found: dict | None) -> list[Html]:
    if not found or not found["rows"]:
        return []
    name, num_wrong = STAGE_NAMES[found["stage"]], sum(row["count"] for row in found["rows"])
    shown = [el("tr", el("th", el("b", row["skill"]), " ", row["kind"], el("small", gist(row["example"])), scope="row"),
                el("td", row["manner"]), el("td", f"{row['count']} of {row['n_kind']}", meter(row)))
             for row in found["rows"][:MAX_FAILURES]]
    return [el("p", f"The commonest of {num_wrong} wrong answers after {name}, by kind of question and by how they are "
                    "wrong, with one example of each.", class_="fine"),
            el("div", table("skill and kind", ["manner", "wrong"], shown), class_="failures")]


def evaluations(scores: dict) -> list[Html]:
    """Bits per byte, CORE, ChatCORE and their tasks, a row each."""
    stages = measured_stages(scores)
    if not stages:
        return []
    rows = [el("tr", el("th", title, scope="row"), [mean_cell(by_stage.get(stage)) for stage in stages],
               el("td", max(score.get("n", 0) for score in by_stage.values()) or "")) for title, by_stage in scores.items()]
    heads = [*(STAGE_NAMES[stage] for stage in stages), "n"]
    notes = [note for mark, note in EVALUATION_NOTES.items() if any(mark in title for title in scores)]
    return [el("p", " ".join(notes), class_="fine"), table("evaluation", heads, rows)]


def mean_cell(score: dict | None) -> Html:
    """As score_cell, but bits per byte and a mean that is centred, which may be negative, are no percentages."""
    if score is None or "n" in score:
        return score_cell(score and {"accuracy": score["value"], "ci95": score["ci95"]})
    low, high = score["ci95"]
    return el("td", f"{score['value']:.4f}", el("small", f"{low:.3f} to {high:.3f}"))


def contamination(found: dict[str, dict]) -> list[Html]:
    """One row for each evaluation that has any, and what was looked at."""
    parts = []
    for stage, findings in found.items():
        evaluations = findings["evaluations"]
        hit = {name: record for name, record in evaluations.items() if record["hit"]}
        parts.append(el("p", f"{STAGE_NAMES[stage]}: {len(hit)} of {len(evaluations)} evaluations share {findings['n']} words "
                             f"in a row with its {format_bytes(findings['text_bytes'])} of training text.", class_="fine"))
        rows = [el("tr", el("th", name, el("small", record["shown"][0]["words"]), scope="row"),
                   el("td", f"{record['hit']} of {record['checked']}"), el("td", record["mostly"]))
                for name, record in hit.items()]
        if rows:
            parts.append(el("div", table("evaluation", ["items", "mostly"], rows), class_="failures"))
    return parts


def meter(row: dict) -> Html:
    return el("i", el("i", style=f"width: {100 * row['count'] / row['n_kind']:.0f}%"), class_="meter")


def gist(example: dict) -> list[str]:
    """The last thing asked, what came, and what should have come."""
    asked = str(example["question"]).strip().split("\n")[-1].removeprefix("user: ")
    asked = asked if len(asked) <= MAX_GIST else "…" + asked[-MAX_GIST:]
    answer, expected = (clip(example[key], MAX_GIST) for key in ("answer", "expected"))
    return [f"“{asked}” → “{answer}”", f" (right: {expected})" if expected != "null" else ""]


# -----------------------------------------------------------------------------
# Conversations

def galleries(stages: dict[str, Stage]) -> dict[str, list[dict]]:
    """Open chats by stage, of those that were measured."""
    return {name: found["gallery"] for name, found in chat_evals(stages).items() if found.get("gallery")}


def gallery(stages: dict[str, Stage]) -> list[Html]:
    """Open chats with the last of them."""
    shown = galleries(stages)
    if not shown:
        return []
    name, chats = list(shown.items())[-1]
    return [el("p", f"The model after {STAGE_NAMES[name]}, not picked: the same openings in every report card.",
               class_="fine"),
            el("div", [open_chat(chat["title"], "fine", chat) for chat in chats], class_="cards")]


def open_chat(title: str, title_class: str, chat: dict) -> Html:
    return el("article", el("p", title, class_=title_class), bubbles(chat["messages"]),
              None if chat["messages"][-1]["role"] == "assistant" else NOTHING)


def side_by_side(stages: dict[str, Stage]) -> list[Html]:
    """Every opening of the last stage beside what the stages before it made of it."""
    shown = galleries(stages)
    if len(shown) < 2:
        return []
    rows = []
    for last in list(shown.values())[-1]:
        told = [(name, chat) for name, chats in shown.items() for chat in chats if chat["title"] == last["title"]]
        rows += [el("h3", last["title"]),
                 el("div", [open_chat(STAGE_NAMES[name], f"key {name}", chat) for name, chat in told], class_="sides")]
    return rows


def bubbles(messages: list[dict]) -> list[Html]:
    return [bubble("answer" if message["role"] == "assistant" else "user", message["content"]) for message in messages]


def bubble(kind: str, content: str | list[dict]) -> Html:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return el("div", [part_html(part) for part in parts], class_=kind)


NOTHING = el("div", "(nothing)", class_="answer")


def answers(stages: dict[str, Stage]) -> list[Html]:
    """Graded answers after the last stage that was measured, every skill in turn."""
    measured = [(name, found["samples"]) for name, found in chat_evals(stages).items()]
    if not measured:
        return []
    name, samples = measured[-1]
    groups = {f"Right, after {STAGE_NAMES[name]}": [sample for sample in samples if sample["score"] == 1],
              f"Wrong, after {STAGE_NAMES[name]}": [sample for sample in samples if sample["score"] < 1]}
    return [el("div", el("h3", title),
               el("div", [conversation(sample) for sample in in_turn(group, "skill", MAX_SAMPLES)], class_="cards"))
            for title, group in groups.items() if group]


def conversation(sample: dict) -> Html:
    is_right = sample["score"] == 1
    notes = [] if is_right else [f"{key}: {clip(sample[key], MAX_CHARS // 3)}" for key in ("expected", "error")
                                 if sample.get(key) is not None]
    return el("article", el("p", sample["skill"], class_=f"fine {'right' if is_right else 'wrong'}"),
              question_html(sample["question"]),
              bubble("answer", sample["parts"]) if sample["parts"] else NOTHING,
              [el("p", note, class_="fine") for note in notes])


def question_html(text: str) -> list[Html]:
    """A question of several turns is stored as lines of "role: text" (task_eval.question_text)."""
    first, *rest = re.split(r"^(user|assistant|system): ", clip(text), flags=re.MULTILINE)
    turns = [("user", first)] if first or not rest else []
    turns += zip(rest[::2], rest[1::2])
    return bubbles([{"role": role, "content": said.strip()} for role, said in turns])


def part_html(part: dict) -> Html:
    if part["type"] == "text":
        return el("span", clip(part["text"]))
    return el("code", clip(part["text"]), class_=part["type"])


def clip(value, most: int = MAX_CHARS) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[:most] + "…"


def writings(stages: dict[str, Stage]) -> list[Html]:
    samples = stages["base"].evals.get("base_eval", {}).get("samples", []) if "base" in stages else []
    return [el("div", [el("blockquote", clip(text)) for text in samples], class_="cards")] if samples else []


# -----------------------------------------------------------------------------
# Time, money, and how to repeat it

def wall_clock(rows: dict) -> list[Html]:
    eval_seconds = sum(row.get("eval_seconds", 0) for row in rows.values())
    spent = [(name, STAGE_NAMES[name], row) for name, row in rows.items()]
    spent += [("eval", "Evaluation", {"seconds": eval_seconds})] if eval_seconds else []
    bar = el("div", [el("i", class_=name, style=f"flex-grow: {row['seconds']:.2f}", title=title)
                     for name, title, row in spent], class_="bar")
    columns = (("time", "seconds", format_duration), ("steps", "final_step", format_count),
               ("tokens", "tokens", format_count), ("tokens/s", "tok_per_sec", format_count),
               ("memory", "peak_rss_bytes", format_bytes))
    head = el("tr", el("th", "stage", scope="col"),
              [el("th", title, scope="col", class_=key) for title, key, _ in columns])
    body = [el("tr", el("th", title, scope="row", class_=f"key {name}"),
               [el("td", show(row[key]) if key in row else "–", class_=key) for _, key, show in columns])
            for name, title, row in spent]
    total = el("tr", el("th", "together", scope="row"),
               el("td", format_duration(sum(row["seconds"] for *_, row in spent))),
               [el("td", class_=key) for _, key, _ in columns[1:]], class_="total")
    return [bar, el("table", el("thead", head), el("tbody", body, total))]


def guess(cost: dict) -> list[Html]:
    """Energy and money, with everything they were guessed from."""
    assumed, unit = cost["assumed"], {"core": "core", "gpu": "GPU"}[cost["unit"]]
    shown = {"Energy, a guess": format_energy(cost["kwh"]),
             "That electricity": format_money(cost["usd_electricity"]),
             "Rented instead": format_money(cost["usd_rent"])}
    watts, usd_per_hour = assumed[f"watts_per_{cost['unit']}"], assumed[f"usd_per_{cost['unit']}_hour"]
    basis = (f"Nothing here was metered; good to a factor of two. Assumed: {cost['units']} x {watts:g} watts per "
             f"{unit}, {format_percent(assumed['utilisation'])} used, times {assumed['overhead']:g} for power supply "
             f"and cooling, for {two_figures(cost['hours'])} hours; ${assumed['usd_per_kwh']:.2f} per kWh; rented at "
             f"${usd_per_hour:.2f} per {unit} and hour.")
    return [el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in shown.items()], class_="tiles"),
            el("p", basis, class_="missing")]


def command_lines(commands: list[str]) -> Html:
    """Wrapped between words only: a browser would also break a line behind the hyphens of a flag."""
    return el("pre", [el("span", [[el("i", word), " "] for word in command.split(" ")]) for command in commands])


def facts(report: dict) -> Html:
    machine = report["machine"]
    ram = f" and {format_bytes(machine['ram_bytes'])} of memory" if machine["ram_bytes"] else ""
    dirty = ", with changes that are not committed" if report["is_dirty"] else ""
    shown = {"Code": f"commit {report['commit']}{dirty}" if report["commit"] else "not from a git repository",
             "Versions": f"Python {machine['python']}, torch {machine['torch']}",
             "Machine": f"{machine['device']}; {machine['cores']} processors{ram}; {machine['os']}",
             "Written": report["created"][:16].replace("T", " ") + " UTC"}
    return el("dl", [[el("dt", name), el("dd", text)] for name, text in shown.items()], class_="facts")


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --raised: #fff; --ink: #22241f; --soft: #6a6b64; --line: #e3e0d9;
  --mine: #dcece6; --theirs: #f1eee8; --band: #f4f1ec; --accent: #176b5b; --bad: #b4472f;
  --c-tokenizer: #8d8b82; --c-base: #3f6fa8; --c-mid: #b9832c; --c-sft: #176b5b; --c-rl: #95508a; --c-eval: #c9c5ba;
  --serif: ui-serif, "Iowan Old Style", "Palatino Linotype", Charter, Georgia, "Liberation Serif", serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161716; --raised: #212322; --ink: #e6e6e1; --soft: #9b9d96; --line: #2f3231;
    --mine: #1d3d36; --theirs: #2c2f2e; --band: #1c1e1d; --accent: #6cc7b2; --bad: #e08a72;
    --c-tokenizer: #85867f; --c-base: #7199cd; --c-mid: #cc9f57; --c-sft: #5fb7a2; --c-rl: #bd82b3;
    --c-eval: #4c504e; } }
.tokenizer { --c: var(--c-tokenizer); } .base { --c: var(--c-base); } .mid { --c: var(--c-mid); }
.sft { --c: var(--c-sft); } .rl { --c: var(--c-rl); } .eval { --c: var(--c-eval); }

* { box-sizing: border-box; margin: 0; padding: 0; }
html { -webkit-text-size-adjust: 100%; }
body { max-width: 62rem; margin: 0 auto; padding: 2.5rem max(1rem, env(safe-area-inset-left)) 4rem;
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.fine, figcaption, .missing { color: var(--soft); font-size: .8125rem; }
section { margin-top: 3.5rem; }
h2 { margin-bottom: 1rem; font: 600 1.375rem/1.25 var(--serif); }
h3 { margin: 1.75rem 0 .75rem; font-size: .9375rem; font-weight: 600; }
.brand { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: baseline; color: var(--soft);
  font-size: .875rem; }
.brand b { color: var(--ink); font: 600 1.25rem/1 var(--serif); }
.brand b::after { content: ""; display: inline-block; width: .4em; height: .4em; margin-left: .2em; border-radius: 50%;
  background: var(--accent); }
h1 { max-width: 22em; margin: 2.25rem 0 .75rem; font: 600 clamp(1.75rem, 5.5vw, 2.75rem)/1.15 var(--serif);
  letter-spacing: -.015em; text-wrap: balance; }
h1 em { color: var(--accent); font-style: normal; white-space: nowrap; }
.lead { max-width: 40rem; color: var(--soft); font-size: 1.0625rem; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px; margin-top: 2.25rem;
  overflow: hidden; border: 1px solid var(--line); border-radius: .875rem; background: var(--line); }
.tiles div { padding: 1rem; background: var(--raised); }
.tiles dt { color: var(--soft); font-size: .8125rem; }
.tiles dd:nth-child(2) { margin: .125rem 0; font: 600 1.25rem/1.4 var(--serif); white-space: nowrap; }
.missing { margin-top: 1rem; }

.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 2.25rem 3rem;
  align-items: start; }
svg { display: block; width: 100%; overflow: visible; }
figure { align-self: end; }
figcaption { margin-bottom: .625rem; }
figcaption b { color: var(--c); }
svg text { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .ink { fill: var(--ink); }
.grid { stroke: var(--line); }
.band { fill: var(--band); }
.zero { stroke: var(--soft); }
.rule { stroke: var(--soft); stroke-dasharray: 2 3; }
path { fill: none; stroke: var(--c); stroke-linejoin: round; stroke-linecap: round; }
.faint { stroke-width: 1; opacity: .35; }
.line { stroke-width: 2; }
.dots { stroke-width: 1; opacity: .6; }
circle { fill: var(--c); stroke: var(--paper); stroke-width: 1.5; }
.interval { stroke: var(--c); stroke-width: 2; stroke-linecap: round; opacity: .45; }

table { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4375rem 0 .4375rem .5rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: baseline; }
th { font-weight: 400; } th:first-child { padding-left: 0; text-align: left; }
thead th { color: var(--soft); }
td small { display: block; color: var(--soft); font-size: .6875rem; line-height: 1.2; }
.key::before { content: ""; display: inline-block; width: .625rem; height: .625rem; margin-right: .4rem;
  border-radius: 50%; background: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; margin: .5rem 0 1.25rem; font-size: .875rem; }
.bar { display: flex; gap: 2px; height: 1.75rem; margin-bottom: 1rem; overflow: hidden; border-radius: .5rem; }
.bar i { min-width: 2px; background: var(--c); }

.total th, .total td { border-bottom: 0; font-weight: 600; }
.failures { margin-top: .75rem; }
.failures td, .failures th + th { padding-left: .75rem; white-space: nowrap; }
.failures th small { display: block; margin-top: .125rem; color: var(--soft); font-size: .75rem; }
.meter { display: block; height: .25rem; margin-top: .25rem; border-radius: .25rem; background: var(--line); }
.meter i { display: block; height: 100%; border-radius: .25rem; background: var(--bad); }

.cards { columns: 2; column-gap: 1.25rem; margin-top: .75rem; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); gap: 1.25rem;
  margin-top: .75rem; }
.sides > * { min-width: 0; }
.cards > *, .sides > * { padding: 1rem 1.125rem; border: 1px solid var(--line); border-radius: .875rem;
  background: var(--raised); break-inside: avoid; white-space: pre-wrap; }
.cards > * { margin-bottom: 1.25rem; }
blockquote { font: .9375rem/1.55 var(--serif); }
.user, .answer { width: fit-content; max-width: 88%; margin-top: .5rem; padding: .5rem .875rem; border-radius: 1.125rem;
  background: var(--theirs); font-size: .9375rem; line-height: 1.4; }
.user { margin-left: auto; border-bottom-right-radius: .25rem; background: var(--mine); }
.answer { border-bottom-left-radius: .25rem; }
.answer span { display: block; white-space: pre-line; }
article > .fine:last-child:not(:first-child) { margin-top: .5rem; }
.right::before { content: "✓ "; color: var(--accent); } .wrong::before { content: "✗ "; color: var(--bad); }
code, pre { font-family: var(--mono); font-size: .8125rem; }
code { display: inline-block; max-width: 100%; padding: .125rem .5rem; border: 1px solid var(--line);
  border-radius: .375rem; background: var(--paper); }
.python::before { content: "calculator "; color: var(--soft); }
.python_output { margin: 0 .375rem .25rem .25rem; background: none; border-color: transparent; color: var(--accent); }
.python_output::before { content: "= "; }
pre { padding: 1rem 1.125rem; border: 1px solid var(--line); border-radius: .875rem; background: var(--raised);
  white-space: pre-wrap; }
pre span { display: block; padding-left: 2em; text-indent: -2em; }
pre i { display: inline-block; max-width: 100%; font-style: normal; text-indent: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin-top: 1rem;
  font-size: .875rem; }
.facts dt { color: var(--soft); }

@media (max-width: 40rem) {
  body { padding-top: 1.5rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .tiles div { padding: .75rem .875rem; }
  .tiles dd:nth-child(2) { font-size: 1.25rem; }
  .tiles div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .cards { columns: 1; }
  .final_step, .tokens { display: none; }
}
@media print { .cards > *, .sides > *, figure, tr { break-inside: avoid; } }
"""
