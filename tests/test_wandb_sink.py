"""A stand-in for wandb that keeps what it was told: one id over all restarts, every row once, and never in the way."""

import sys
import types

import pytest
from test_stages import BASE, curve, text_flags, train

from nanochat.common import UserError
from nanochat.run import Run, read_metrics
from scripts import base_train

CONFIG = {"settings": {}, "argv": ["base_train"]}


@pytest.fixture
def wandb(monkeypatch):
    """The module, with .inits and .rows, which are (step, metrics) in the order of arrival."""
    module = types.ModuleType("wandb")
    module.inits, module.rows, module.num_finished, module.error = [], [], 0, None

    class StandIn:
        def log(self, metrics, step):
            if module.error:
                raise module.error
            module.rows.append((step, metrics))

        def finish(self):
            module.num_finished += 1

    module.init = lambda **how: module.inits.append(how) or StandIn()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def launch(*, resume=None, overwrite=False, wandb="w", at=0):
    """A run whose process has come as far as its loop."""
    run = Run("base", "d2")
    run.open(CONFIG, resume=resume, overwrite=overwrite, wandb=wandb)
    run.begin(at)
    return run


def steps(run, first, last):
    for step in range(first, last + 1):
        run.log({"step": step, "loss": float(step)})


def losses(wandb):
    return [step for step, metrics in wandb.rows if "loss" in metrics]


def test_rows_are_the_lines_of_the_file(wandb):
    run = launch()
    steps(run, 1, 2)
    run.log({"step": 2, "val_bpb": 1.5})
    assert wandb.rows == [(line["step"], line) for line in read_metrics(run.dir)] and len(wandb.rows) == 3
    (init,) = wandb.inits
    assert (init["project"], init["name"], init["resume"], init["job_type"], init["group"]) == (
        "nanochat", "w", "allow", "base", "d2")
    run.finish("base_train")
    assert wandb.num_finished == 1


def test_a_killed_run_goes_on_under_its_id_and_repeats_no_row(wandb):
    steps(launch(), 1, 7)
    again = launch(resume="auto", at=4)
    steps(again, 5, 5)                       # killed before it is where it was
    third = launch(resume="auto", at=4)
    steps(third, 5, 9)
    assert losses(wandb) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len({init["id"] for init in wandb.inits}) == 1
    assert [line["step"] for line in read_metrics(third.dir)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_an_evaluation_that_the_kill_came_before_is_sent(wandb):
    steps(launch(), 1, 5)
    run = launch(resume="auto", at=4)
    steps(run, 5, 5)
    run.log({"step": 5, "val_bpb": 1.5})
    assert losses(wandb) == [1, 2, 3, 4, 5] and wandb.rows[-1] == (5, {"step": 5, "val_bpb": 1.5})


def test_rows_go_only_forward_over_a_rollback_and_a_kill_after_it(wandb):
    run = launch()
    steps(run, 1, 7)
    run.cut_metrics(4)
    run.log({"step": 4, "event": "rollback", "from_step": 7})
    steps(run, 5, 6)
    steps(launch(resume="auto", at=4), 5, 8)
    assert losses(wandb) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_run_that_began_without_it_is_sent_from_its_first_step(wandb):
    steps(launch(wandb=None), 1, 6)
    steps(launch(resume="auto", at=4), 5, 8)
    assert losses(wandb) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_new_start_is_a_new_run(wandb):
    steps(launch(), 1, 3)
    steps(launch(overwrite=True), 1, 2)
    first, second = (init["id"] for init in wandb.inits)
    assert first != second and losses(wandb) == [1, 2, 3, 1, 2]


def test_a_sink_that_breaks_is_named_once_and_stops_nothing(wandb, capsys):
    run = launch()
    steps(run, 1, 2)
    wandb.error = RuntimeError("the network is gone")
    steps(run, 3, 6)
    assert len(read_metrics(run.dir)) == 6 and losses(wandb) == [1, 2]
    assert capsys.readouterr().err == ("wandb is left out from step 3 on (the network is gone); metrics.jsonl has "
                                       "everything\n")


def test_without_the_package_or_an_account_nothing_is_touched(wandb, monkeypatch):
    steps(launch(), 1, 3)
    def no_account(**how):
        raise RuntimeError("No API key configured.\nUse `wandb login` to log in.")
    wandb.init = no_account
    for module, words in ((wandb, "No API key configured. Use `wandb login` to log in.; log in once"),
                          (None, "the package is not installed; pip install wandb")):
        monkeypatch.setitem(sys.modules, "wandb", module)
        with pytest.raises(UserError, match=words):
            launch(overwrite=True)
    assert len(read_metrics(Run("base", "d2").dir)) == 3


def test_it_is_not_imported_unless_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    launch(wandb=None)


def test_a_stage_killed_in_its_sixth_step_sends_every_row_once(home, wandb, monkeypatch):
    flags = f"{BASE} {text_flags()} --eval-every 4 --save-every 4 --wandb tiny"
    def kill(_, metrics):
        if metrics["step"] == 6:
            raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(base_train, "print_step", kill)
        train(base_train, flags)
    record = train(base_train, f"{flags} --resume auto")
    assert [(step, {key: value for key, value in row.items() if key not in ("tok_per_sec", "dt_sec")})
            for step, row in wandb.rows] == [(line["step"], line) for line in curve("base", "d2")]
    assert len({init["id"] for init in wandb.inits}) == 1 and wandb.num_finished == 1
    assert train(base_train, f"{flags} --resume auto") == record and len(wandb.inits) == 2
