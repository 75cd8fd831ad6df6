"""Truth: the rendered conversations themselves. Upstream lost its mask in a refactor (#570) and packed rows without
targets into NaN (#590); both are impossible to miss here."""

import random
from collections import Counter
from itertools import islice

import pytest
import torch
from test_gpt import tiny_gpt

from nanochat import tinyworld_chats
from nanochat.conversation import render
from nanochat.packing import (ROW_MULTIPLE, Sequence, build_chat_loader, collate, fit_sequences, pack_greedily,
                              predicted_lengths, rows_per_epoch)
from nanochat.tokenizer import Tokenizer

END, PAD = 49, 0


def conversations(num, longest, seed=0):
    """Random ids; assistant turns (mask 1) end with END, as rendered chats do."""
    rng, chats = random.Random(seed), []
    for _ in range(num):
        ids, mask = [1], [0]
        for _ in range(rng.randint(1, 3)):
            user, answer = rng.randint(1, longest // 6), rng.randint(1, longest // 6)
            ids += [rng.randint(2, 48) for _ in range(user + answer)] + [END]
            mask += [0] * user + [1] * (answer + 1)
        chats.append(Sequence(ids, mask))
    return chats


def loader(sequences, sequence_len, rows=4, per_pass=2, state=None):
    return build_chat_loader(sequences, fingerprint="f", seed=1, sequence_len=sequence_len, rows_per_step=rows,
                             device_batch_size=per_pass, pad_id=PAD, rank=0, world=1, device=torch.device("cpu"),
                             state=state)


def supervised(sequences):
    """Multiset of (previous id, target) pairs that the masks ask for."""
    return Counter((s.ids[i - 1], s.ids[i]) for s in sequences for i in range(1, len(s.ids)) if s.mask[i])


@pytest.mark.parametrize("sequence_len", [32, 64, 100, 512, 2048])
def test_targets_of_packed_rows_are_those_of_the_rendered_masks(sequence_len):
    sequences = fit_sequences(conversations(60, sequence_len), sequence_len, END).sequences
    batch = collate(pack_greedily(sequences, sequence_len), sequence_len, PAD)
    found = Counter(zip(batch.idx[batch.targets >= 0].tolist(), batch.targets[batch.targets >= 0].tolist()))
    assert found == supervised(sequences)
    flat = batch.targets.flatten()
    rows = [row for row in batch.rows.tolist() if flat[row] >= 0]
    assert rows == (flat >= 0).nonzero().squeeze(1).tolist()
    assert len(batch.rows) % ROW_MULTIPLE == 0 or (flat >= 0).all()


@pytest.mark.parametrize("sequence_len", [32, 47, 128, 333, 1024, 2048])
def test_packed_chats_supervise_what_their_rendered_masks_say(sequence_len):
    """Upstream incident #570, on real rendered conversations: tool outputs and questions are context, never targets."""
    tok = Tokenizer.train((str(chat) for chat in tinyworld_chats.conversations("train", 50)), 400)
    rendered = [Sequence(*render(tok, chat)) for chat in tinyworld_chats.conversations("train", 150)]
    fitting = [s for s in rendered if len(s.ids) <= sequence_len + 1]
    fitted = fit_sequences(rendered, sequence_len, tok.special["<|assistant_end|>"])
    assert [s for s in fitted.sequences if s in fitting] == fitting
    batch = collate(pack_greedily(fitted.sequences, sequence_len), sequence_len, tok.bos_id)
    is_target = batch.targets >= 0
    assert Counter(zip(batch.idx[is_target].tolist(), batch.targets[is_target].tolist())) == supervised(fitted.sequences)
    forbidden = {tok.special[f"<|{name}|>"] for name in ("user_start", "user_end", "assistant_start", "output_start",
                                                          "output_end", "bos")}
    assert not forbidden & set(batch.targets[is_target].tolist())


@pytest.mark.parametrize("sequence_len", [32, 64, 512])
@pytest.mark.parametrize("per_pass", [1, 2, 4])
def test_every_row_of_every_batch_has_a_target(sequence_len, per_pass):
    chats = conversations(50, 3 * sequence_len)  # many do not fit
    fitted = fit_sequences(chats, sequence_len, END)
    for batch, _ in islice(loader(fitted.sequences, sequence_len, per_pass=per_pass), 100):
        assert (batch.targets >= 0).any(dim=1).all()


def test_too_long_is_cut_after_the_last_whole_turn_or_dropped_and_both_are_counted():
    two_turns = Sequence([1, 2, 3, END, 4, 5, 6, END], [0, 0, 1, 1, 0, 0, 1, 1])
    assert fit_sequences([two_turns], 7, END) == ([two_turns], 0, 0)
    assert fit_sequences([two_turns], 6, END) == ([Sequence([1, 2, 3, END], [0, 0, 1, 1])], 1, 0)
    assert fit_sequences([two_turns], 2, END) == ([], 0, 1)
    assert fit_sequences([Sequence([1, 2, 3], [0, 0, 0])], 9, END) == ([], 0, 1)


def test_packed_loss_and_gradient_equal_one_conversation_at_a_time():
    model, sequences = tiny_gpt(), conversations(9, 12)
    packed = collate(pack_greedily(sequences, 16), 16, PAD)
    alone = [collate([[s]], 16, PAD) for s in sequences]
    assert len(packed.idx) < len(sequences)
    results = []
    for batches in ([packed], alone):
        model.zero_grad()
        nats = sum(model.loss_sum(**batch._asdict())[0] for batch in batches)
        nats.backward()
        results.append((nats.detach(), [p.grad.clone() for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=0)  # positions differ: fp32 rotary tables


def test_weights_travel_to_their_targets():
    sequence = Sequence([1, 2, 3, 4], [0, 0, 1, 1], [0.0, 0.0, 0.5, -2.0])
    batch = collate([[Sequence([9, 8], [0, 1], [0.0, 7.0]), sequence]], 8, PAD)
    assert batch.targets[0].tolist() == [8, -1, 3, 4, -1, -1, -1, -1]
    assert batch.row_weights[0].tolist() == [7.0, 0.0, 0.5, -2.0, 0, 0, 0, 0]
    assert batch.doc_ids[0].tolist() == [0, 1, 1, 1, -1, -1, -1, -1]


def test_an_epoch_shows_every_conversation_and_resume_continues_it():
    sequences = conversations(70, 40)
    assert rows_per_epoch(sequences, 64, seed=1) * 64 >= predicted_lengths(sequences).sum()
    straight = [batch.idx.tolist() for batch, _ in islice(loader(sequences, 64), 60)]
    batches = loader(sequences, 64)
    for _ in range(20):
        _, state = next(batches)
    assert [batch.idx.tolist() for batch, _ in islice(loader(sequences, 64, state=state), 40)] == straight[20:]
