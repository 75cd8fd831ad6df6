"""Did a model get better? Two models answered the same questions; only those that one alone got right can tell.

Their scores are compared item by item: the exact McNemar test says whether gains and losses could be a coin's, an
interval for the difference says how large it may be. Both are far sharper than two separate intervals, because hard
questions are hard for both. Left out: more than two models, corrections for many skills, scores between 0 and 1.
"""

import math

from nanochat.task_eval import wilson_interval


def compare(before: list[int], after: list[int]) -> dict:
    """{n, gained, lost, difference, ci95, p} of 0/1 scores of the same items in the same order.

    difference: accuracy after minus before, in shares; ci95 its paired interval, p the two-sided exact p value.
    """
    assert len(before) == len(after) and set(before) | set(after) <= {0, 1}
    pairs = list(zip(before, after))
    both, gained, lost, neither = (pairs.count(pair) for pair in ((1, 1), (0, 1), (1, 0), (0, 0)))
    n = len(pairs)
    return {"n": n, "gained": gained, "lost": lost, "difference": (gained - lost) / n if n else 0.0,
            "ci95": paired_interval(both, gained, lost, neither), "p": mcnemar_p(gained, lost)}


def compare_results(before: dict, after: dict) -> dict[str, dict]:
    """{skill: compare(...)} of what two chat_eval.json hold; skills that were asked other questions are left out."""
    old, new = before.get("items", {}), after.get("items", {})
    return {skill: compare(old[skill]["scores"], new[skill]["scores"]) for skill in new
            if skill in old and old[skill]["sha256"] == new[skill]["sha256"]}


def mcnemar_p(gained: int, lost: int) -> float:
    """Chance of a split at least as uneven as this one, if every change is a fair coin (McNemar 1947, exact).

    >>> mcnemar_p(7, 1)
    0.0703125
    """
    n, fewer = gained + lost, min(gained, lost)
    ways = total = 1  # to get i heads of n throws, each from the one before: math.comb for each took seconds at n = 10,000
    for i in range(fewer):
        ways = ways * (n - i) // (i + 1)
        total += ways
    return min(1.0, 2 * total / 2 ** n)


def paired_interval(both: int, gained: int, lost: int, neither: int) -> tuple[float, float]:
    """95% interval of the difference of two paired proportions: method 10 of Newcombe 1998, Statistics in Medicine
    17:2635. Counts of items right in both, only after, only before, in neither.

    It joins the Wilson intervals of the two proportions, less what their correlation takes off. Chosen because it
    needs no iteration (Tango's does), has no width of zero when nothing changed (Wald's has), and is made of the very
    intervals that are printed beside it.
    """
    n = both + gained + lost + neither
    if n == 0:
        return -1.0, 1.0
    after, before = both + gained, both + lost
    phi = correlation(both, gained, lost, neither)
    (low_a, high_a), (low_b, high_b) = wilson_interval(after, n), wilson_interval(before, n)
    down_a, up_a, down_b, up_b = after / n - low_a, high_a - after / n, before / n - low_b, high_b - before / n
    difference = (after - before) / n
    down = math.sqrt(max(0.0, down_a ** 2 - 2 * phi * down_a * up_b + up_b ** 2))  # rounding can leave -1e-19
    up = math.sqrt(max(0.0, up_a ** 2 - 2 * phi * up_a * down_b + down_b ** 2))
    return difference - down, difference + up


def correlation(both: int, gained: int, lost: int, neither: int) -> float:
    """Phi of the table, a positive one with Newcombe's continuity correction; 0 when a margin is empty."""
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    product, half = both * neither - gained * lost, (both + gained + lost + neither) / 2
    return (product if product < 0 else max(0.0, product - half)) / math.sqrt(margins)
