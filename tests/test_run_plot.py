"""Runs written by hand: what the curves show, what is marked, what is said to differ; hostile names stay text."""

import json
import re

import pytest

from nanochat.run import runs_dir
from nanochat.run_plot import differences, interpolate, load_runs, points, render, text_table
from scripts import plot_runs

PLAN = {"total_batch_size": 512, "num_iterations": 40, "matrix_lr": 0.02}
LAUNCH = {"time": "2026-11-26T12:30:00+00:00", "commit": "0123456789", "world": 1}


def line(step, **changes):
    return {"step": step, "loss": 5 - step / 10, "lr_mult": 0.5, "grad_norm": 1.0, "tok_per_sec": 1000.0,
            "dt_sec": 0.5} | changes


def write_run(tag="d2", *, lines=None, launches=(0,), is_finished=True, stage="base", seed=0, **plan):
    folder = runs_dir(stage) / tag
    folder.mkdir(parents=True)
    settings = {"plan": PLAN | plan, "seed": seed, "dtype": "float32"}
    config = {"settings": settings, "commit": "abc", "device": "cpu", "world": 1}
    (folder / "config.json").write_text(json.dumps(config))
    lines = [line(step) for step in range(1, 41)] if lines is None else lines
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (folder / "launches.jsonl").write_text("".join(json.dumps(LAUNCH | {"step": step}) + "\n" for step in launches))
    if is_finished:
        (folder / "result.json").write_text(json.dumps({"status": "finished"}))
    return folder


def eventful():
    """A skipped step 7 with a loss that is no number, a rollback from 12 to 10, an evaluation."""
    lines = [line(step) for step in range(1, 21)]
    lines[6] |= {"event": "skipped", "problem": "not finite", "loss": float("nan"), "grad_norm": 1e9}
    lines.insert(10, {"step": 10, "event": "rollback", "from_step": 12})
    return [*lines, {"step": 20, "val_bpb": 1.25}]


def test_what_was_skipped_is_an_event_and_no_point_of_the_curve():
    write_run(lines=eventful(), launches=(0, 10, 4))
    (run,) = load_runs(["base/d2"])
    assert [step for step, _ in points(run, "loss")] == [*range(1, 7), *range(8, 21)]
    assert [(event.kind, event.step) for event in run.events] == [
        ("restart", 4), ("skipped", 7), ("rollback", 10), ("restart", 10)]
    page = render([run], "steps")
    assert "back from step 12 after bad steps in a row" in page and "update skipped: not finite" in page
    assert "resumed 2026-11-26 12:30 UTC at 0123456 on one rank" in page
    assert not any("nan" in path for path in re.findall(r' d="[^"]*"', page))


def test_marks_and_curves_land_where_the_axis_says():
    """40 steps over 696 units from 36 to 732: step 10 at 210, step 40 at the end; in tokens the same places."""
    write_run(launches=(0, 10))
    runs = load_runs(["base/d2"])
    for x, last in (("steps", "40"), ("tokens", "20k")):
        page = render(runs, x)
        assert 'x1="210.0" x2="210.0" y1="26" y2="266" class="mark restart r0"' in page
        assert f">{last}</text>" in page


def test_the_table_says_what_is_done_and_what_happened():
    write_run("done")
    write_run("going", lines=eventful(), launches=(0, 4), is_finished=False)
    head, done, going = text_table(load_runs(["base/done", "base/going"])).splitlines()
    assert head.split() == ["run", "steps", "loss", "val", "bpb", "tok/s", "time", "skipped", "rollbacks", "restarts"]
    assert done.split() == ["base/done", "40", "1.0500", "1k", "20", "s"]  # loss: mean of the last two, 1.1 and 1.0
    assert going.split()[:4] == ["base/going", "20", "of", "40"] and going.split()[-3:] == ["1", "1", "1"]


def test_settings_that_differ_are_listed_and_the_others_are_not():
    write_run("a")
    write_run("b", matrix_lr=0.3, seed=1)
    runs = load_runs(["base/a", "base/b"])
    assert differences(runs) == {"plan.matrix_lr": ["0.02", "0.3"], "seed": ["0", "1"]}
    assert "plan.matrix_lr" in render(runs, "steps")
    assert "Nothing that is recorded" in render([runs[0], runs[0]], "steps")


def test_a_run_lies_as_far_from_the_first_as_its_losses_do():
    write_run("a")
    write_run("b", lines=[line(step, loss=5.5 - step / 10) for step in range(1, 41)])
    page = render(load_runs(["base/a", "base/b"]), "steps")
    figure = page[page.index("Against the first"):]
    path = re.search(r'<path d="M([^"]*)" class="line r1"', figure)[1]
    heights = {float(place.split(",")[1]) for place in path.split("L")}
    assert heights == {26.0}  # everywhere 0.5 above, the top of an axis from 0 to 0.5
    assert [interpolate([(1, 10), (3, 30)], x) for x in (1, 2, 3)] == [10, 20, 30]


def test_runs_of_one_tag_in_two_places_are_told_apart_by_their_paths(tmp_path):
    for place in ("fast", "slow"):
        write_run().rename((tmp_path / place).mkdir() or tmp_path / place / "d2")
    runs = load_runs([str(tmp_path / place / "d2") for place in ("fast", "slow")])
    assert [run.name for run in runs] == ["fast/d2", "slow/d2"]


def test_the_page_needs_nothing_else_and_names_stay_text():
    write_run("<script>alert(1)<", lines=[line(1), line(2)])
    page = render(load_runs(["base/<script>alert(1)<"]), "steps")
    assert "<script" not in page and "http:" not in page and "https:" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize("lines", [[line(1)], [line(1), line(2, loss=5.0)], [line(1, grad_norm=float("inf")), line(2)]])
def test_a_run_that_has_just_begun_can_be_looked_at(lines):
    (write_run(lines=lines, is_finished=False) / "metrics.jsonl").open("a").write('{"step": 3, "lo')
    assert "base/d2" in render(load_runs(["base/d2"]), "steps")


def plot(words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        plot_runs.main(plot_runs.build_parser().parse_args(words))
    out, err = capsys.readouterr()
    (error,) = err.strip().splitlines()
    assert exit_info.value.code == 2 and out == ""
    return error


def test_bad_input_is_one_line(tmp_path, capsys):
    write_run()
    write_run(stage="rl")
    write_run("empty", lines=[])
    write_run("odd", lines=[{"loss": 3}])
    config = runs_dir("rl") / "d2" / "config.json"
    config.write_text(config.read_text().replace("total_batch_size", "num"))
    for words, expected in ((["base/nope"], "there are: base/d2, base/empty, base/odd, rl/d2"),
                            (["base/d2", "base/d2"], "twice"), (["base/empty"], "no step yet"),
                            (["base/odd"], "not a run of these"), (["rl/d2", "--x", "tokens"], "--x steps"),
                            (["base/d2", "--out", str(tmp_path)], "can be written"),
                            ([f"base/{i}" for i in range(9)], "at most 8")):
        assert expected in plot(words, capsys)


def test_the_script_writes_the_page_and_prints_the_table_and_the_record(tmp_path, capsys):
    write_run()
    out = tmp_path / "new" / "curves.html"
    record = plot_runs.main(plot_runs.build_parser().parse_args(["base/d2", "--out", str(out)]))
    *shown, last = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("run ") and json.loads(last) == record and out.read_text().startswith("<!doctype html>")
