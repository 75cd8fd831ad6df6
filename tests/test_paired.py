"""Published tables, brute force over all outcomes, and what must hold for any table."""

import itertools
import random

import pytest

from nanochat.paired import compare, compare_results, mcnemar_p, paired_interval


@pytest.mark.parametrize("gained, lost, p", [  # Fagerland, Lydersen and Laake 2017, chapter 8: Bentur 2009, Cavo 2012
    (1, 7, 0.0703), (6, 16, 0.0525)])
def test_the_exact_test_gives_the_published_p_values(gained, lost, p):
    assert mcnemar_p(gained, lost) == mcnemar_p(lost, gained) == pytest.approx(p, abs=5e-5)


def test_the_exact_test_counts_the_throws_of_coins_that_are_as_uneven():
    for n in range(1, 11):
        heads = [sum(throws) for throws in itertools.product((0, 1), repeat=n)]
        for k in range(n + 1):
            as_uneven = sum(abs(h - n / 2) >= abs(k - n / 2) for h in heads)
            assert mcnemar_p(k, n - k) == as_uneven / 2 ** n


def test_no_change_at_all_is_no_evidence_and_thousands_do_not_overflow():
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(5000, 5000) == 1.0 and 0 < mcnemar_p(2600, 2400) < 0.005 and mcnemar_p(4000, 0) >= 0


@pytest.mark.parametrize("table, low, high, digit", [  # the same chapter, Newcombe's square-and-add interval
    ((59, 16, 6, 80), 0.0046, 0.1186, 1e-4), ((1, 7, 1, 12), 0.026, 0.507, 1e-3)])
def test_paired_intervals_are_the_published_ones(table, low, high, digit):
    both, gained, lost, neither = table
    found, mirrored = paired_interval(*table), paired_interval(both, lost, gained, neither)
    assert found == (pytest.approx(low, abs=digit / 2), pytest.approx(high, abs=digit / 2))
    assert mirrored == (pytest.approx(-found[1]), pytest.approx(-found[0]))


def test_every_interval_of_small_tables_holds_the_difference_and_stays_in_bounds():
    for table in itertools.product(range(5), repeat=4):
        low, high = paired_interval(*table)
        n = sum(table)
        difference = (table[1] - table[2]) / n if n else 0
        assert -1 - 1e-9 <= low <= difference + 1e-12 and difference - 1e-12 <= high <= 1 + 1e-9 and high > low


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """True difference 0.1 on 80 items; the standard error of 1,500 trials is 0.6 points."""
    rng = random.Random(0)
    cells = ((1, 1), (0, 1), (1, 0), (0, 0))
    covered = 0
    for _ in range(1500):
        before, after = zip(*rng.choices(cells, (50, 20, 10, 20), k=80))
        low, high = compare(before, after)["ci95"]
        covered += low <= 0.1 <= high
    assert 0.93 <= covered / 1500 <= 0.975


def test_pairing_is_by_item_not_by_total():
    """The same two accuracies: once the second model lost nothing, once it traded one half for another."""
    before = [1] * 50 + [0] * 50
    better, other = compare(before, [1] * 60 + [0] * 40), compare(before, [0] * 40 + [1] * 60)
    assert better["difference"] == other["difference"] == 0.1
    assert (better["gained"], better["lost"], other["gained"], other["lost"]) == (10, 0, 50, 40)
    assert better["p"] == 2 / 2 ** 10 and other["p"] > 0.3
    assert better["ci95"][0] > 0 > other["ci95"][0]


def test_only_skills_that_were_asked_the_same_questions_are_compared():
    before = {"items": {"facts": {"sha256": "a", "scores": [0, 1]}, "letters": {"sha256": "b", "scores": [1]}}}
    after = {"items": {"facts": {"sha256": "a", "scores": [1, 1]}, "letters": {"sha256": "c", "scores": [1, 1]},
                       "story": {"sha256": "d", "scores": [1]}}}
    found = compare_results(before, after)
    assert list(found) == ["facts"] and (found["facts"]["difference"], found["facts"]["n"]) == (0.5, 2)
    assert compare_results({"skills": {}}, after) == {}
