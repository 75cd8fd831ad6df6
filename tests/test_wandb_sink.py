"""A stand-in for wandb's service that keeps rows as it does: one id over all restarts, no row twice, none missing, and
never in the way of training."""

import sys
import types

import pytest
from test_stages import BASE, curve, text_flags, train

from nanochat.common import UserError
from nanochat.run import Run, read_metrics
from scripts import base_train

CONFIG = {"settings": {}, "argv": ["base_train"]}


class Service(types.ModuleType):
    """The module wandb, and what its servers know: .rows by run id, {step: row}. Offline it remembers nothing."""

    def __init__(self):
        super().__init__("wandb")
        self.inits, self.rows, self.num_finished, self.error, self.is_offline = [], {}, 0, None, False

    def init(self, *, id, **how):
        self.inits.append(how | {"id": id})
        if self.is_offline:
            self.rows[id] = {}
        service, rows = self, self.rows.setdefault(id, {})

        class Run:
            step = max(rows, default=-1) + 1

            def log(self, metrics, step):
                if service.error:
                    raise service.error
                assert step >= self.step, "this row would be refused"
                self.step = step
                rows.setdefault(step, []).append(metrics)

            def finish(self):
                service.num_finished += 1

        return Run()

    def lines(self):
        """As they arrived, of the only run."""
        (rows,) = self.rows.values()
        return [metrics for row in rows.values() for metrics in row]


@pytest.fixture
def wandb(monkeypatch):
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service)
    return service


def launch(*, resume=None, overwrite=False, wandb="w", at=0):
    """A run whose process has come as far as its loop."""
    run = Run("base", "d2")
    run.open(CONFIG, resume=resume, overwrite=overwrite, wandb=wandb)
    run.begin(at)
    return run


def steps(run, first, last):
    for step in range(first, last + 1):
        run.log({"step": step, "loss": float(step)})


def steps_there(wandb):
    return [metrics["step"] for metrics in wandb.lines()]


def test_rows_are_the_lines_of_the_file(wandb):
    run = launch()
    steps(run, 1, 2)
    run.log({"step": 2, "val_bpb": 1.5})
    assert wandb.lines() == read_metrics(run.dir) and len(wandb.lines()) == 3
    (init,) = wandb.inits
    assert (init["project"], init["name"], init["resume"], init["job_type"], init["group"]) == (
        "nanochat", "w", "allow", "base", "d2")
    run.finish("base_train")
    assert wandb.num_finished == 1


def test_a_killed_run_goes_on_under_its_id_and_repeats_no_row(wandb):
    steps(launch(), 1, 7)
    steps(launch(resume="auto", at=4), 5, 5)  # killed before it is where it was
    third = launch(resume="auto", at=4)
    steps(third, 5, 9)
    assert steps_there(wandb) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len({init["id"] for init in wandb.inits}) == 1
    assert [line["step"] for line in read_metrics(third.dir)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_rows_that_a_kill_lost_on_their_way_are_sent_again(wandb):
    """wandb 0.31, killed after 12 steps: none of them was on its disk."""
    steps(launch(), 1, 7)
    (rows,) = wandb.rows.values()
    for step in (3, 4, 5, 6, 7):
        del rows[step]
    steps(launch(resume="auto", at=4), 5, 9)
    assert steps_there(wandb) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_offline_each_launch_leaves_a_whole_run(wandb):
    wandb.is_offline = True
    steps(launch(), 1, 7)
    steps(launch(resume="auto", at=4), 5, 9)
    assert steps_there(wandb) == [1, 2, 3, 4, 5, 6, 7, 8, 9] and len({init["id"] for init in wandb.inits}) == 1


def test_rows_go_only_forward_over_a_rollback_and_a_kill_after_it(wandb):
    run = launch()
    steps(run, 1, 7)
    run.cut_metrics(4)
    run.log({"step": 4, "event": "rollback", "from_step": 7})
    steps(run, 5, 6)
    steps(launch(resume="auto", at=4), 5, 8)
    assert steps_there(wandb) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_run_that_began_without_it_is_sent_from_its_first_step(wandb):
    steps(launch(wandb=None), 1, 6)
    steps(launch(resume="auto", at=4), 5, 8)
    assert steps_there(wandb) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_new_start_is_a_new_run(wandb):
    steps(launch(), 1, 3)
    steps(launch(overwrite=True), 1, 2)
    assert [list(rows) for rows in wandb.rows.values()] == [[1, 2, 3], [1, 2]]


def test_a_sink_that_breaks_is_named_once_and_stops_nothing(wandb, capsys):
    run = launch()
    steps(run, 1, 2)
    wandb.error = RuntimeError("the network is gone")
    steps(run, 3, 6)
    assert len(read_metrics(run.dir)) == 6 and steps_there(wandb) == [1, 2]
    assert capsys.readouterr().err == ("wandb is left out from step 3 on (the network is gone); metrics.jsonl has "
                                       "everything\n")


def test_without_the_package_or_an_account_nothing_is_touched(wandb, monkeypatch):
    steps(launch(), 1, 3)
    def no_account(**how):
        raise RuntimeError("No API key configured.\nUse `wandb login` to log in.")
    wandb.init = no_account
    for module, words in ((wandb, "No API key configured. Use `wandb login` to log in; log in once"),
                          (None, "the package is not installed; pip install wandb")):
        monkeypatch.setitem(sys.modules, "wandb", module)
        with pytest.raises(UserError, match=words):
            launch(overwrite=True)
    assert len(read_metrics(Run("base", "d2").dir)) == 3


def test_it_is_not_imported_unless_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    launch(wandb=None)


def test_a_stage_killed_in_its_sixth_step_sends_every_line_once(home, wandb, monkeypatch):
    flags = f"{BASE} {text_flags()} --eval-every 4 --save-every 4 --wandb tiny"
    def kill(_, metrics):
        if metrics["step"] == 6:
            raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(base_train, "print_step", kill)
        train(base_train, flags)
    record = train(base_train, f"{flags} --resume auto")
    assert [{key: value for key, value in line.items() if key not in ("tok_per_sec", "dt_sec")}
            for line in wandb.lines()] == curve("base", "d2")
    assert len({init["id"] for init in wandb.inits}) == 1 and wandb.num_finished == 1
    assert train(base_train, f"{flags} --resume auto") == record and len(wandb.inits) == 2
