import math
import random
from collections import Counter

import pytest
import torch

from nanochat.sampling import _inverse_cdf, _mix, _mix_int, derive_seed, sample, uniform

PROBS = [0.5, 0.25, 0.125, 0.125]  # sums of these are exact in binary


def draw(probs, num_draws=4000, *, seed=0, dtype=torch.float64, **settings):
    """num_draws samples of one distribution, at successive positions of one seed."""
    logits = torch.tensor(probs, dtype=dtype).log().expand(num_draws, -1)
    columns = {"temperature": (1.0, torch.float32), "top_k": (None, torch.int64), "top_p": (None, torch.float32)}
    tensors = {}
    for name, (default, dtype) in columns.items():
        value = settings.get(name, default)
        tensors[name] = None if value is None else torch.full((num_draws,), value, dtype=dtype)
    seeds = torch.full((num_draws,), seed)
    return sample(logits, seeds=seeds, positions=torch.arange(num_draws), **tensors).ids.tolist()


def chi_square(ids, probs):
    counts = Counter(ids)
    assert all(probs[i] > 0 for i in counts), f"drew an id of probability 0: {counts}"
    return sum((counts[i] - len(ids) * p) ** 2 / (len(ids) * p) for i, p in enumerate(probs) if p > 0)


def test_splitmix64_gives_the_published_sequence_as_tensors_and_as_integers():
    # The first outputs for state 1234567, as Rosetta Code's splitmix64 task lists them.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden = 0x9E3779B97F4A7C15
    states = [(1234567 + i * golden) % 2 ** 64 for i in range(3)]
    assert [_mix_int(state) for state in states] == expected
    signed = torch.tensor([state - 2 ** 64 if state >= 2 ** 63 else state for state in states])
    assert [x % 2 ** 64 for x in _mix(signed).tolist()] == expected


@pytest.mark.parametrize("settings, expected", [
    ({}, PROBS),
    ({"temperature": 0.5}, [16 / 22, 4 / 22, 1 / 22, 1 / 22]),      # p^2, normalised
    ({"temperature": 2.0}, None),                                   # sqrt(p), normalised
    ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
    ({"top_k": 3}, [4 / 7, 2 / 7, 1 / 7, 0]),                       # of equals the lower id
    ({"top_k": 1}, [1, 0, 0, 0]),
    ({"top_k": 0}, PROBS), ({"top_k": 9}, PROBS), ({"top_p": 1.0}, PROBS),
    ({"top_p": 0.75}, [2 / 3, 1 / 3, 0, 0]),                        # two hold exactly 0.75
    ({"top_p": 0.7500001}, [4 / 7, 2 / 7, 1 / 7, 0]),
    ({"top_p": 1e-6}, [1, 0, 0, 0]), ({"top_p": 1e-300}, [1, 0, 0, 0]),
    ({"top_k": 3, "top_p": 0.8}, [2 / 3, 1 / 3, 0, 0]),             # top-p of what top-k left: 4/7, 6/7 passes 0.8
])
def test_frequencies_fit_the_worked_distribution(settings, expected):
    if expected is None:
        roots = [math.sqrt(p) for p in PROBS]
        expected = [r / sum(roots) for r in roots]
    assert chi_square(draw(PROBS, **settings), expected) < 16.3  # 3 degrees of freedom: p = 0.001


def test_ids_of_probability_zero_are_never_drawn_wherever_they_stand():
    probs = [0.0, 0.3, 0.0, 0.7, 0.0]
    for settings in ({}, {"top_k": 4}, {"top_p": 0.99}):
        assert set(draw(probs, **settings, dtype=torch.float32)) == {1, 3}


def test_the_ends_of_the_noise_fall_on_ids_that_have_a_probability():
    for weights in ([0.0, 0.3, 0.0, 0.7, 0.0], [0.0, 1e-6, 3.7, 0.0], [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]):
        noise = torch.tensor([0.0, 1 - 2.0 ** -23])
        first, last = _inverse_cdf(torch.tensor(weights).expand(2, -1), noise).tolist()
        assert (first, last) == (1, max(i for i, w in enumerate(weights) if w > 0))


def test_of_many_equals_top_k_keeps_the_first():
    assert set(draw([1 / 5000] * 5000, 200, top_k=3, dtype=torch.float32)) == {0, 1, 2}


def test_frequencies_over_many_ids_in_float32():
    weights = [random.Random(0).random() for _ in range(200)]
    probs = [w / sum(weights) for w in weights]
    assert chi_square(draw(probs, 100_000, dtype=torch.float32), probs) < 268  # 199 degrees of freedom: p = 0.001


def test_noise_is_uniform_and_positions_and_seeds_are_unrelated():
    positions = torch.arange(50_000)
    u = uniform(torch.full_like(positions, 7), positions)
    neighbour = uniform(torch.full_like(positions, 8), positions)
    assert 0 <= u.min() and u.max() < 1
    deciles = torch.bincount((u * 10).long(), minlength=10).tolist()
    assert sum((count - 5000) ** 2 / 5000 for count in deciles) < 27.9  # 9 degrees of freedom: p = 0.001
    for other in (u.roll(1), neighbour):
        assert abs(torch.corrcoef(torch.stack([u, other]))[0, 1]) < 4 / len(u) ** 0.5


def test_temperature_zero_is_the_argmax_also_beside_sampled_rows():
    logits = torch.tensor([PROBS, PROBS[::-1], PROBS]).log()
    def run(temperature):
        temperature = torch.tensor(temperature) if isinstance(temperature, list) else temperature
        return sample(logits, seeds=torch.zeros(3, dtype=torch.int64), positions=torch.arange(3),
                      temperature=temperature).ids.tolist()
    assert run(0) == run([0.0, 0.0, 0.0]) == [0, 3, 0]
    assert run([1.0, 0.0, 1.0])[1] == 3
    assert run([1e-30, 1e-30, 1e-30]) == [0, 3, 0]  # no overflow into NaN


def test_the_first_of_equals_is_the_greedy_one_wherever_it_stands():
    generator = torch.Generator().manual_seed(0)
    for size in (1, 63, 64, 65, 1000):
        logits = torch.randint(0, 3, (50, size), generator=generator).float()  # many are the largest
        logits[0] = -torch.inf
        expected = [row.index(max(row)) for row in logits.tolist()]
        assert sample(logits, seeds=None, positions=None).ids.tolist() == expected


@pytest.mark.parametrize("temperature", [0, 1])
def test_one_temperature_for_all_is_that_of_every_row(temperature):
    logits = torch.randn(40, 100, generator=torch.Generator().manual_seed(0)) * 3
    rows = {"seeds": torch.arange(40), "positions": torch.arange(40) % 7, "num_logprobs": 3}
    once = sample(logits, temperature=temperature, **rows)
    for found, expected in zip(once, sample(logits, temperature=torch.full((40,), float(temperature)), **rows)):
        assert torch.equal(found, expected)
    exact = logits.double().log_softmax(-1)
    torch.testing.assert_close(once.logprobs.double(), exact.gather(1, once.ids[:, None])[:, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(once.top_logprobs.double(), exact.gather(1, once.top_ids), rtol=0, atol=1e-5)


def test_log_probabilities_hold_where_probabilities_are_too_small_for_fp32():
    logits = torch.tensor([[0.0, -300.0, -100.0]])
    sampled = sample(logits, seeds=None, positions=None, num_logprobs=3)
    assert sampled.top_logprobs.tolist() == [[0.0, -100.0, -300.0]]


def test_an_id_is_drawn_where_the_exact_sum_passes_the_noise():
    """Also among many ids, some of weight 0, in groups of which some are empty."""
    generator = torch.Generator().manual_seed(0)
    for size in (1, 63, 64, 65, 1000):
        weights = torch.rand(200, size, generator=generator) ** 4
        weights[torch.rand(weights.shape, generator=generator) < 0.7] = 0
        weights[:, size // 3:size // 2] = 0
        weights[:, size // 2] += 0.1
        noise = torch.rand(200, generator=generator)
        noise[:20], noise[20:40] = 0, 1 - 2 ** -23
        drawn = _inverse_cdf(weights, noise)
        ends = weights.double().cumsum(dim=1)
        chosen, target = weights.gather(1, drawn[:, None]).squeeze(1), noise.double() * ends[:, -1]
        end = ends.gather(1, drawn[:, None]).squeeze(1)
        assert (chosen > 0).all()
        assert (end > target - 1e-4).all() and (end - chosen <= target + 1e-4).all()


def test_a_row_draws_the_same_in_any_company():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 50, generator=generator)
    settings = {"seeds": torch.tensor([0, 1, 2, 0, 4, 2 ** 62]), "positions": torch.tensor([3, 3, 9, 4, 3, 0]),
                "temperature": torch.tensor([1.0, 0.7, 0.0, 1.3, 2.0, 1.0]), "top_k": torch.tensor([0, 5, 0, 3, 0, 50]),
                "top_p": torch.tensor([0.9, 1.0, 1.0, 0.5, 0.3, 1.0])}
    together = sample(logits, **settings).ids.tolist()
    for rows in ([0], [1], [5, 3], [4, 2, 0], [3, 1, 5, 0]):
        alone = sample(logits[rows], **{name: x[rows] for name, x in settings.items()}).ids.tolist()
        assert alone == [together[row] for row in rows]


def test_sorting_is_skipped_without_changing_what_is_drawn_from():
    flat, sorted_ = draw(PROBS), draw(PROBS, top_k=0, top_p=1.0)
    assert flat == sorted_  # PROBS is already in descending order, so both walk the same sum


def test_seed_zero_is_a_seed_like_any_other():
    assert draw(PROBS, seed=0) == draw(PROBS, seed=0) != draw(PROBS, seed=1)


def test_derived_seeds_are_distinct_signed_64_bit_and_defined_for_any_integer():
    seeds = [derive_seed(seed, i) for seed in (0, 1, -1, 2 ** 63, 2 ** 64 - 2, 10 ** 30) for i in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(-2 ** 63 <= seed < 2 ** 63 for seed in seeds)
    assert torch.tensor(seeds).dtype == torch.int64


def test_logprobs_ignore_temperature_and_filters():
    logits = torch.tensor([PROBS, PROBS]).log() + 3.0
    sampled = sample(logits, seeds=torch.tensor([0, 1]), positions=torch.tensor([5, 5]),
                     temperature=torch.tensor([0.1, 0.0]), top_k=torch.tensor([1, 0]), num_logprobs=2)
    assert sampled.ids.tolist() == [0, 0]
    assert sampled.logprobs.tolist() == pytest.approx([math.log(0.5)] * 2)
    for id, logprob, top in sampled.to_host([2, 2]):
        assert (id, [i for i, _ in top]) == (0, [0, 1]) and logprob == top[0][1]
        assert [p for _, p in top] == pytest.approx([math.log(0.5), math.log(0.25)])
    assert sample(logits, seeds=sampled.ids, positions=sampled.ids).logprobs is None
