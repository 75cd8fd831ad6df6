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


def test_two_kills_cannot_be_told_from_none():
    landed = drill(kills=2, ranks=1, dtype="float32", seed=1)
    assert landed.get(IN_SAVE, 0) + landed.get(PAST, 0) == 2


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_six_kills_on_one_and_on_two_ranks_cannot_be_told_from_none(ranks):
    assert sum(drill(kills=6, ranks=ranks, dtype="float32", seed=2).values()) == 6
