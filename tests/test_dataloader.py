"""Truth: every token of every document exactly once per epoch, whatever the ranks, passes and interruptions."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from nanochat.common import UserError
from nanochat.dataloader import MemoryDocuments, RowPacker, build_loader, shuffled_order

T = 16


@pytest.fixture
def documents():
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 60, size=300)
    starts = np.cumsum(lengths) - lengths
    return MemoryDocuments([np.arange(start, start + n) for start, n in zip(starts, lengths)])  # all tokens differ


def loader(documents, *, rank=0, world=1, rows=4, per_pass=2, state=None, seed=5):
    return build_loader(documents, fingerprint="f" * 64, seed=seed, sequence_len=T, rows_per_step=rows,
                        device_batch_size=per_pass, rank=rank, world=world, device=torch.device("cpu"), state=state)


def steps(batches, num_steps, passes):
    """Per step, the set of rows as tuples of all T + 1 tokens."""
    rows = [tuple(row) for x, y, _ in islice(batches, num_steps * passes) for row in torch.cat((x, y[:, -1:]), 1).tolist()]
    size = len(rows) // num_steps
    return [sorted(rows[i:i + size]) for i in range(0, len(rows), size)]


@pytest.mark.parametrize("num_rows", [1, 50, 560, 1200])
def test_what_was_read_is_either_used_once_or_still_waiting(documents, num_rows):
    packer = RowPacker(documents.lengths, T + 1, seed=0, can_cut=True)
    pieces = [piece for _ in range(num_rows) for piece in packer.next_row()]
    pieces += [(doc, offset, int(documents.lengths[doc])) for doc, offset in packer.state()["buffer"]]
    counts = Counter((doc, i) for doc, start, stop in pieces for i in range(start, stop))
    reads = Counter(shuffled_order(300, 0, packer.epoch)[:packer.next_doc].tolist())
    assert counts == Counter({(doc, i): packer.epoch + reads[doc] for doc in range(300)
                              for i in range(documents.lengths[doc]) if packer.epoch + reads[doc]})


def test_no_document_waits_for_long(documents):
    packer = RowPacker(documents.lengths, T + 1, seed=0, can_cut=True)
    first_used = {}
    for row in range(1000):
        for doc, _, _ in packer.next_row():
            first_used.setdefault(doc, row)
    tokens_read = {doc: sum(documents.lengths[d] for d in shuffled_order(300, 0, 0)[:i])
                   for i, doc in enumerate(shuffled_order(300, 0, 0).tolist())}
    assert max(first_used[doc] - tokens_read[doc] / (T + 1) for doc in range(300)) < 128


def test_rows_are_full_and_open_with_a_document_or_a_remainder(documents):
    packer = RowPacker(documents.lengths, T + 1, seed=0, can_cut=True)
    for _ in range(400):
        row = packer.next_row()
        assert sum(stop - start for _, start, stop in row) == T + 1
        assert all(start == 0 for _, start, _ in row[1:]), "a remainder in mid-row would follow a foreign document"


def test_y_is_x_one_token_ahead(documents):
    x, y, _ = next(loader(documents))
    assert x.shape == y.shape == (2, T) and x.dtype == torch.int64
    assert torch.equal(x[:, 1:], y[:, :-1])


@pytest.mark.parametrize("world, per_pass", [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1)])
def test_a_step_holds_the_same_rows_for_any_ranks_and_passes(documents, world, per_pass):
    expected = steps(loader(documents, per_pass=2), 6, passes=2)
    ranks = [steps(loader(documents, rank=rank, world=world, per_pass=per_pass), 6, passes=4 // (per_pass * world))
             for rank in range(world)]
    assert [sorted(sum(parts, [])) for parts in zip(*ranks)] == expected


@pytest.mark.parametrize("stop_after", [1, 7, 120])
def test_a_resumed_loader_continues_to_the_token(documents, stop_after):
    """nanochat #361 repeated and skipped documents after the first epoch; 120 steps are well into the second."""
    straight = steps(loader(documents), stop_after + 40, passes=2)
    batches = loader(documents)
    for _ in range(stop_after * 2):
        _, _, state = next(batches)
    assert steps(loader(documents, state=state), 40, passes=2) == straight[stop_after:]


def test_state_is_small_json(documents):
    import json
    _, _, state = next(loader(documents))
    assert json.loads(json.dumps(state)) == state and len(state["buffer"]) < 140


def test_other_data_or_another_seed_is_refused(documents):
    _, _, state = next(loader(documents))
    with pytest.raises(UserError, match="--overwrite"):
        next(loader(documents, state={**state, "fingerprint": "0" * 64}))
    with pytest.raises(UserError, match="seed 5"):
        next(loader(documents, state=state, seed=6))


def test_order_is_a_permutation_that_changes_with_seed_and_epoch():
    orders = [shuffled_order(1000, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(1000)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert np.mean(np.abs(orders[0] - np.arange(1000))) == pytest.approx(333, rel=0.15)  # of a uniform shuffle


def test_one_tiny_document_still_fills_rows():
    x, _, _ = next(loader(MemoryDocuments([[7, 8, 9]])))
    assert x[0, :6].tolist() == [7, 8, 9, 7, 8, 9]
