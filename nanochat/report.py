"""The report card of a model: what its stages left on disk, gathered into the JSON that recipes and plots read.

Read are the files of the finished stages (config.json, metrics.jsonl, result.json, and those of EVALS), never printed
text. A measurement of other weights than those a stage ended with is left out, and whatever a reader
could look for in vain gets a line that says so. report_page.py draws it. Left out: comparing models, and stages that
are still running.
"""

import math
import os
import platform
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from nanochat.common import UserError, base_dir, tokenizer_path
from nanochat.files import read_json
from nanochat.gpt import GPTConfig, count
from nanochat.paired import compare_results
from nanochat.run import FORMAT_VERSION, STAGES, read_metrics, runs_dir
from nanochat.task_eval import wilson_interval
from nanochat.tokenizer import Tokenizer

STAGE_NAMES = {"tokenizer": "Tokenizer", "base": "Base", "mid": "Midtraining", "sft": "SFT", "rl": "RL"}
EVALS = ("base_eval", "chat_eval", "core_eval", "task_eval", "contamination")  # scripts; each writes <name>.json
BPB = "bits per byte"  # of that table
# kept of the records
STAGE_KEYS = ("final_step", "tokens", "tok_per_sec", "final_loss", "val_bpb", "val_loss", "mean_reward",
              "peak_rss_bytes", "device", "dtype", "seed", "checkpoint", "weights_sha256", "commit", "is_dirty")
TOKENIZER_KEYS = ("vocab_size", "text_bytes", "peak_rss_bytes", "commit", "is_dirty")

# Nobody measured watts or paid a bill: round figures of 2025, good to a factor of two, that turn time into a guess.
ASSUMED = {
    "watts_per_core": 8.0,        # a server processor of 250 to 350 W on its 32 to 64 cores, and their memory
    "watts_per_gpu": 700.0,       # board limit of a data-centre GPU (H100 SXM, H200)
    "utilisation": 0.8,           # of those watts, from the first stage's start to the last one's end
    "overhead": 1.3,              # power supply and cooling, per watt of chip
    "usd_per_kwh": 0.2,           # between a household's price in the US and in Europe
    "usd_per_core_hour": 0.05,    # on demand, large clouds
    "usd_per_gpu_hour": 3.0,      # one H100 or H200 on demand
}


class Stage(NamedTuple):
    """What one finished stage left in its folder."""
    record: dict
    config: dict
    metrics: list[dict]
    evals: dict[str, dict]    # by file name without .json, those of the stage's last weights only


class Card(NamedTuple):
    report: dict              # what report.json holds
    stages: dict[str, Stage]  # the finished ones, in order
    commands: list[str]       # that train it again


def gather(tag: str | None, created: str) -> Card:
    """The card of a tag, None for the newest. UserError when none of its stages is finished."""
    tag = find_tag(tag)
    stages = {name: read_stage(runs_dir(name) / tag) for name in STAGES
              if (runs_dir(name) / tag / "result.json").exists()}
    tokenizer = read_tokenizer(tag, stages)
    last = list(stages.values())[-1]
    rows = {"tokenizer": tokenizer_figures(tokenizer)} if tokenizer else {}
    rows |= {name: stage_figures(stage) for name, stage in stages.items()}
    total_sec = sum(row["seconds"] + row.get("eval_seconds", 0) for row in rows.values())
    machine = machine_facts(last.config)
    report = {
        "format_version": FORMAT_VERSION, "tag": tag, "created": created,
        "commit": last.record["commit"], "is_dirty": last.record["is_dirty"],
        "total_sec": total_sec,
        "peak_rss_bytes": max(row.get("peak_rss_bytes", 0) for row in rows.values()) or None,
        "model": model_facts(last.config["model"]), "machine": machine,
        "cost": guess_cost(total_sec, machine),
        "bits_per_byte": bits_per_byte(stages.get("base")), "stages": rows, "skills": skills_by_stage(stages),
        "failures": failures_of_last(stages), "tasks": scores_by_stage(stages),
        "contamination": {name: stage.evals["contamination"]["findings"] for name, stage in stages.items()
                          if "contamination" in stage.evals},
        "missing": missing_lines(tag, stages, tokenizer)}
    commands = [command_line("tok_train", tokenizer["argv"])] if tokenizer else []
    commands += [command_line(stage.record["script"], stage.config["argv"], stage.config["world"])
                 for stage in stages.values()]
    return Card(without_nan(report), stages, commands)


# -----------------------------------------------------------------------------
# Reading

def find_tag(tag: str | None) -> str:
    finished = sorted((path.stat().st_mtime, path.parent.name)
                      for stage in STAGES for path in runs_dir(stage).glob("*/result.json"))
    tags = sorted({name for _, name in finished})
    if not tags:
        raise UserError(f"no finished model yet in {base_dir() / 'runs'}; train one with bash runs/quickstart.sh")
    if tag is not None and tag not in tags:
        raise UserError(f"--model-tag {tag}: no finished stage of that name; there are: {', '.join(tags)}")
    return tag or finished[-1][1]


def read_stage(folder: Path) -> Stage:
    record = read_json(folder / "result.json")
    metrics = read_metrics(folder)
    evals = {name: read_json(path) for name in EVALS if (path := folder / f"{name}.json").exists()}
    return Stage(record, read_json(folder / "config.json"), metrics,
                 {name: found for name, found in evals.items() if found["weights_sha256"] == record["weights_sha256"]})


def read_tokenizer(tag: str, stages: dict[str, Stage]) -> dict | None:
    """What tok_train kept about the model's tokenizer; None when that is gone or is about another tokenizer."""
    name, stage = list(stages.items())[-1]
    of_model = runs_dir(name) / tag / f"step_{stage.record['final_step']:08d}" / "tokenizer.json"
    path = tokenizer_path().with_name("result.json")
    if not path.exists() or not of_model.exists():
        return None
    record = read_json(path)
    return record if record["fingerprint"] == Tokenizer.load(of_model).fingerprint else None


# -----------------------------------------------------------------------------
# Figures

def tokenizer_figures(record: dict) -> dict:
    return {"seconds": record["total_sec"]} | known(record, TOKENIZER_KEYS)


def stage_figures(stage: Stage) -> dict:
    # A resumed run's total_sec began at its last launch; its train_sec is of all launches, but without set-up and
    # evaluation. Neither is the whole of it: the larger one is nearer.
    figures = {"seconds": max(stage.record["total_sec"], stage.record.get("train_sec") or 0)}
    eval_seconds = [found["seconds"] for found in stage.evals.values() if "seconds" in found]
    if eval_seconds:
        figures["eval_seconds"] = sum(eval_seconds)
    return figures | known(stage.record, STAGE_KEYS)


def known(record: dict, keys) -> dict:
    return {key: record[key] for key in keys if record.get(key) is not None}


def model_facts(model: dict) -> dict:
    config = GPTConfig(**model)
    return {"depth": config.n_layer, "width": config.n_embd, "heads": config.n_head, "vocab_size": config.vocab_size,
            "context": config.sequence_len, "params": count(config)["total"]}


def machine_facts(config: dict) -> dict:
    """Device and versions are those of the training; cores, memory and system those of whoever writes the report."""
    has_size = {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(getattr(os, "sysconf_names", ()))
    return {"device": config["device"], "world": config["world"], **config["versions"], "cores": os.cpu_count(),
            "ram_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if has_size else None,
            "os": f"{platform.system()} {platform.release()} {platform.machine()}"}


def bits_per_byte(base: Stage | None) -> dict:
    """Of the base model on its validation text, beside two codes that need no model; null where unknown."""
    measured = base.evals.get("base_eval", base.record) if base else {}
    return {"model": measured.get("val_bpb"), "byte_unigram": measured.get("byte_unigram_bpb"),
            "zstd19": measured.get("zstd19_bpb")}


def skills_by_stage(stages: dict[str, Stage]) -> dict:
    """{skill: {stage: {accuracy, n, ci95, change?}}}; change is paired.compare with the measured stage before, with its
    name under since, where both were asked the same questions."""
    skills: dict[str, dict] = {}
    before = None
    for name, found in chat_evals(stages).items():
        changes = compare_results(before[1], found) if before else {}
        for skill, score in found["skills"].items():
            skills.setdefault(skill, {})[name] = {key: score[key] for key in ("accuracy", "n", "ci95")}
            if skill in changes:
                skills[skill][name]["change"] = {"since": before[0], **changes[skill]}
        before = name, found
    return skills


def chat_evals(stages: dict[str, Stage]) -> dict[str, dict]:
    """What chat_eval found, by stage, in their order."""
    return {name: stage.evals["chat_eval"] for name, stage in stages.items() if "chat_eval" in stage.evals}


def scores_by_stage(stages: dict[str, Stage]) -> dict:
    """{BPB | "CORE" | "ChatCORE" | task | task habit | task pass@k: {stage: {value, ci95, n?}}}; the means only
    where every task was measured, bits per byte only of the text that the first of the stages was measured on."""
    rows: dict[str, dict] = {BPB: {}, "CORE": {}, "ChatCORE": {}}
    for name, found in same_text(stages).items():
        rows[BPB][name] = {"value": found["val_bpb"], "ci95": found["val_bpb_ci95"]}
    for name, stage in stages.items():
        of_text, of_chat = stage.evals.get("core_eval", {}), stage.evals.get("task_eval", {})
        for title, mean in (("CORE", of_text.get("core")), ("ChatCORE", of_chat.get("chatcore"))):
            if mean:
                rows[title][name] = {"value": mean["value"], "ci95": mean["ci95"]}
        scores = {f"CORE {label}": score for label, score in of_text.get("tasks", {}).items()}
        for task, score in (scores | of_chat.get("skills", {})).items():
            rows.setdefault(task, {})[name] = {"value": score["accuracy"], "ci95": score["ci95"], "n": score["n"]}
            for habit, share in score.get("habits", {}).items():
                rows.setdefault(f"{task} {habit}", {})[name] = {
                    "value": share, "ci95": wilson_interval(share * score["n"], score["n"]), "n": score["n"]}
    rows |= passes_by_stage(stages)
    return {title: by_stage for title, by_stage in rows.items() if by_stage}


def passes_by_stage(stages: dict[str, Stage]) -> dict:
    """{"task pass@k": {stage: {value, ci95, n}}}, what RL sampled on its validation questions: before its first step,
    which is the stage that it began from, and after its last."""
    if "rl" not in stages:
        return {}
    after, source = stages["rl"].record, stages["rl"].config["settings"].get("source")
    columns = {name: after.get("before") or {} for name, stage in stages.items()
               if stage.record["weights_sha256"] == source} | {"rl": after}
    rows: dict[str, dict] = {}
    for name, found in columns.items():
        for task, passes in found.get("pass_at_k", {}).items():
            for k, estimate in passes.items():
                rows.setdefault(f"{task} pass@{k}", {})[name] = estimate
    return rows


def same_text(stages: dict[str, Stage]) -> dict[str, dict]:
    """What base_eval found, by stage, on one and the same text."""
    found = {name: stage.evals["base_eval"] for name, stage in stages.items() if "base_eval" in stage.evals}
    texts = [measured["data"] for measured in found.values()]
    return {name: measured for name, measured in found.items() if measured["data"] == texts[0]}


def failures_of_last(stages: dict[str, Stage]) -> dict | None:
    """{stage, rows}: the wrong answers of the last measured stage by kind and manner; None if nobody sorted them."""
    for name, found in reversed(chat_evals(stages).items()):
        return {"stage": name, "rows": found["failures"]} if "failures" in found else None


def guess_cost(seconds: float, machine: dict) -> dict:
    """{unit, units, hours, kwh, usd_electricity, usd_rent, assumed}: `units` cores or GPUs at work for `hours`.

    >>> guess_cost(3600, {"device": "CPU (10 cores)", "world": 1, "cores": 4})["kwh"]
    0.0832
    """
    cores = re.search(r"\((\d+) cores\)$", machine["device"])  # see common.device_name
    is_gpu = not cores and machine["device"] not in ("cpu", "mps")
    unit, units = ("gpu", machine["world"]) if is_gpu else ("core", int(cores[1]) if cores else machine["cores"])
    hours = seconds / 3600
    watts = ASSUMED[f"watts_per_{unit}"] * units * ASSUMED["utilisation"] * ASSUMED["overhead"]
    kwh = round(watts * hours / 1000, 6)
    return {"unit": unit, "units": units, "hours": hours, "kwh": kwh, "usd_electricity": kwh * ASSUMED["usd_per_kwh"],
            "usd_rent": ASSUMED[f"usd_per_{unit}_hour"] * units * hours, "assumed": ASSUMED}


def command_line(script: str, argv: list[str], world: int = 1) -> str:
    launcher = "python" if world == 1 else f"torchrun --nproc_per_node={world}"
    return f"{launcher} -m scripts.{script} {shlex.join(argv[1:])}".rstrip()


def without_nan(value):
    """JSON has no NaN: figures of a run that diverged become null."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -----------------------------------------------------------------------------
# What is not there

def missing_lines(tag: str, stages: dict[str, Stage], tokenizer: dict | None) -> list[str]:
    lines = [] if tokenizer else ["How long the tokenizer took is not known."]
    for name in STAGES:
        if name in stages:
            lines += [f"{STAGE_NAMES[name]}: {line}" for line in stage_problems(name, runs_dir(name) / tag, stages)]
        else:
            has_begun = (runs_dir(name) / tag / "config.json").exists()
            lines.append(f"{STAGE_NAMES[name]} {'has not finished' if has_begun else 'was not run'}.")
    is_measured = chat_evals(stages) or any("task_eval" in stage.evals for stage in stages.values())
    return lines if is_measured else [*lines, "No skill was measured."]


def stage_problems(name: str, folder: Path, stages: dict[str, Stage]) -> list[str]:
    stage, lines = stages[name], []
    for file in EVALS:
        if file not in stage.evals and (folder / f"{file}.json").exists():
            lines.append(f"{file}.json is of other weights and left out; run python -m scripts.{file} "
                         f"--source {name} --model-tag {folder.name} again.")
    earlier = {stages[other].record["weights_sha256"] for other in STAGES[:STAGES.index(name)] if other in stages}
    source = stage.config["settings"].get("source")
    if source and earlier and source not in earlier:
        lines.append("began from weights that no earlier stage shown here ended with.")
    if "base_eval" in stage.evals and name not in same_text(stages):
        lines.append("its bits per byte are of another text and left out; run python -m scripts.base_eval "
                     f"--source {name} --model-tag {folder.name} again.")
    num_broken = sum(not math.isfinite(line.get("loss", 0)) for line in stage.metrics)
    if num_broken:
        lines.append(f"{num_broken} steps have a loss that is no number.")
    return lines
