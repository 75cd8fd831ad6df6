import json

import pytest
import torch

from nanochat import bench
from nanochat.common import UserError
from nanochat.gpt import GPTConfig, count
from scripts import infer_bench

CPU = torch.device("cpu")
SMALL = ["--random", "--depth", "2", "--vocab-size", "300", "--prompt-len", "20", "--decode-len", "5", "--repeats", "1"]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(bench, "READ_BYTES", 1 << 20)
    monkeypatch.setattr(bench, "MATMUL_SIZE", 32)


def build_engine(dtype=torch.float32, **config):
    config = GPTConfig(**(dict(sequence_len=64, vocab_size=300, n_layer=2, n_head=2, n_kv_head=1, n_embd=32,
                               layer_types=("full", "sliding"), window=5) | config))
    tokenizer = bench.shape_tokenizer(config.vocab_size)
    return bench.build_engine(bench.random_model(config), tokenizer, dtype, CPU, max_rows=4)


@pytest.mark.parametrize("vocab_size", [265, 266, 8192, bench.MAX_VOCAB_SIZE])
def test_a_tokenizer_of_any_size_is_one(vocab_size):
    tokenizer = bench.shape_tokenizer(vocab_size)
    assert tokenizer.vocab_size == vocab_size and tokenizer.decode(list(range(vocab_size - 9)))


def test_bytes_of_a_step_worked_by_hand():
    """Per layer q 32x32, k and v 16x32 each, out 32x32, MLP 2 x 32x128; the head 320x32. A row of 40 keys: 40 in the
    full layer and 5 in the sliding one, key and value of 16 each."""
    num_weights = 2 * (32 * 32 + 2 * 16 * 32 + 32 * 32 + 2 * 32 * 128) + 320 * 32
    for dtype, size in ((torch.float32, 4), (torch.float64, 8)):
        engine = build_engine(dtype)
        assert engine.model.weight_bytes() == size * num_weights
        assert bench.decode_bytes(engine, 3, 40) == size * (num_weights + 3 * (40 + 5) * 2 * 16)
    assert bench.num_multiplied(engine.model.config) == num_weights


def test_weights_in_bf16_and_int8_count_what_is_stored():
    """int8: a byte a weight and a scale a channel, in the activations' dtype."""
    plain = build_engine(torch.float32).model.weight_bytes()
    assert build_engine(torch.bfloat16).model.weight_bytes() == plain // 2
    int8 = build_engine(torch.int8)
    channels = 2 * (32 + 32 + 32 + 128 + 32) + 320
    assert int8.model.weight_bytes() == plain // 4 + channels * int8.cache.kv.element_size()


def test_every_row_is_timed_over_its_whole_answer():
    engine = build_engine()
    timing = bench.measure(engine, bench.random_prompts(engine.tokenizer, 3, 20), 9)
    assert (timing.num_decoded, timing.num_steps) == (3 * 8, 8)  # the first token of each comes with the prefill
    assert 20 < timing.context < 29 and 0 < timing.ttft_sec and timing.tok_per_sec == 24 / timing.decode_sec
    assert engine.pool.num_available == engine.pool.num_blocks


def test_the_record_has_a_row_for_every_batch_size_and_dtype(capsys):
    infer_bench.main(infer_bench.build_parser().parse_args(
        [*SMALL, "--batch-sizes", "1,3", "--dtype", "float32,int8", "--turns", "2", "--device-type", "cpu"]))
    out, err = capsys.readouterr()
    record = json.loads(out.splitlines()[-1])
    assert [(row["batch_size"], row["dtype"]) for row in record["rows"]] == [
        (1, "float32"), (3, "float32"), (1, "int8"), (3, "int8")]
    for row in record["rows"]:
        assert min(row[key] for key in ("tok_per_sec", "ttft_sec", "tpot_sec", "mbu", "mfu")) > 0
        assert row["tok_per_sec"] == pytest.approx(row["batch_size"] / row["tpot_sec"])
        assert row["mbu"] == pytest.approx(row["step_bytes"] / row["tpot_sec"] / row["bytes_per_sec"], rel=1e-3)
    assert record["num_params"] == count(infer_bench.model_config(2, vocab_size=300, max_seq_len=64))["total"]
    assert [turn["cached"] for turn in record["turns"][0]["turns"]] == [0, 51]  # 20 + 32 but the last, which is run for its logits
    assert "rows" in err and "turn 2" in err


@pytest.mark.parametrize("flags, words", [
    (["--batch-sizes", "1,x"], "--batch-sizes '1,x'"), (["--batch-sizes", ""], "--batch-sizes"),
    (["--dtype", "int4"], "--dtype int4"), (["--dtype", "int8,"], "--dtype :"), (["--decode-len", "1"], "--decode-len 1"),
    (["--prompt-len", "0"], "--prompt-len 0"), (["--vocab-size", "264"], "--vocab-size 264"),
    (["--depth", "0"], "--depth 0"),
    (["--depth", "400"], "GiB"), (["--source", "rl"], "--source is for a trained model"),
    (["--vs", "transformers"], "extra `hf`")])
def test_a_mistake_is_one_line(flags, words, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(SystemExit) as exit_request:
        infer_bench.main(infer_bench.build_parser().parse_args([*SMALL, "--device-type", "cpu", *flags]))
    err = capsys.readouterr().err.strip().splitlines()
    assert exit_request.value.code == 2 and len(err) == 1 and words in err[0]


def test_a_shape_without_random_is_refused():
    with pytest.raises(UserError, match="--depth is for random weights"):
        infer_bench.check(infer_bench.build_parser().parse_args(["--depth", "4"]))
