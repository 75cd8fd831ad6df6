"""The run that is killed and the run that is not: the same curve, the same documents, the same weights."""

import pytest

from dev.kill_drill import ELSEWHERE, IN_SAVE, PAST, Disk, drill, where

BEFORE = Disk({"step_00000004.tmp-1"}, newest=2, inode=7, logged=5)


@pytest.mark.parametrize("now, place", [
    (BEFORE, ELSEWHERE),                                              # killed before it read anything
    (Disk(set(), newest=2, inode=8, logged=2), ELSEWHERE),            # after the metrics were cut back
    (Disk(set(), newest=2, inode=8, logged=3), PAST),
    (Disk({"step_00000004.tmp-2"}, newest=2, inode=8, logged=4), IN_SAVE)])
def test_a_kill_is_told_apart_by_what_it_left(now, place):
    assert where(BEFORE, now) == place


@pytest.mark.slow
def test_two_kills_cannot_be_told_from_none():
    landed = drill(kills=2, ranks=1, dtype="float32", seed=1)
    assert landed.get(IN_SAVE, 0) + landed.get(PAST, 0) == 2


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_six_kills_on_one_and_on_two_ranks_cannot_be_told_from_none(ranks):
    assert sum(drill(kills=6, ranks=ranks, dtype="float32", seed=2).values()) == 6


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_kills_of_later_stages_cannot_be_told_from_none(stage):
    landed = drill(kills=3, stage=stage, seed=2)
    assert landed.get(IN_SAVE, 0) + landed.get(PAST, 0) == 3


@pytest.mark.slow
def test_a_run_told_to_stop_saves_and_cannot_be_told_from_one_that_was_not():
    landed = drill(kills=2, way="term", seed=2)
    assert sum(landed.values()) == 2 and "before it listened" not in landed


@pytest.mark.slow
def test_spoilt_checkpoints_are_named_and_cost_nothing():
    assert sum(drill(kills=4, way="damage", seed=2).values()) == 4


@pytest.mark.slow
def test_a_disk_that_fills_in_saves_costs_nothing():
    try:
        assert sum(drill(kills=2, way="disk", seed=2).values()) == 2
    except PermissionError as error:
        pytest.skip(str(error))
