"""What went wrong in upstream nanochat's year, each with the tests that would have noticed it here.

 1  SFT's mask lost in a refactor (#570, #582)
      test_packing.py::test_packed_chats_supervise_what_their_rendered_masks_say
 2  SFT's loss is NaN (#590)
      test_packing.py::test_every_row_of_every_batch_has_a_target
      test_incidents.py::test_2_every_batch_has_targets_and_a_finite_loss
 3  a learning rate below zero (#775)
      test_schedules.py::test_multipliers_stay_between_zero_and_one_at_every_step
      test_incidents.py::test_3_rates_of_a_run_with_accumulation_stay_between_zero_and_the_peak
 4  the optimizer edited in one of its two copies (a9d0a86)
      test_stages.py::test_two_ranks_follow_one_in_float64_through_base
 5  a resized cache (#186), a window ignored in decoding (#456), state lost between chunks (#756)
      test_engine.py::test_requests_at_different_positions_in_scattered_blocks_equal_the_full_forward
      test_engine.py::test_random_mixes_equal_the_full_forward_and_leak_no_block
 6  the first token shared by all samples (8f979a8)
      test_engine.py::test_samples_of_a_prompt_differ_from_their_first_token_on
      test_engine.py::test_a_seed_gives_the_same_samples_in_any_company_and_none_gives_others
 7  SFT lost the attention window (8b4849d)
      test_checkpoint.py::test_every_config_field_survives_the_handoff_between_stages
      test_incidents.py::test_7_every_stage_hands_on_the_models_config
 8  bpb wrong for tokens that are not UTF-8 (#693)
      test_loss_eval.py::test_tokens_that_are_not_utf8_count_the_bytes_they_stand_for
      test_tokenizer.py::test_token_bytes_count_bytes_also_where_a_token_is_half_a_character
 9  resuming in the second epoch repeats or skips data (#361)
      test_incidents.py::test_9_a_run_interrupted_in_any_epoch_sees_every_document_as_often_as_a_straight_one
10  eval in the calculator (#165), its alarm in a thread (#145)
      test_calculator.py::test_everything_else_is_refused_in_words
      test_calculator.py::test_works_off_the_main_thread
11  more examples asked for than there are (#550), a single parquet file (#620), a ratio of 0 (#632)
      test_core_eval.py::test_prompts_are_those_written_by_hand
      test_incidents.py::test_11_a_single_parquet_file_has_both_splits
      test_scaling.py::test_bad_flags_are_named_with_what_is_accepted
      test_command_lines.py::test_300_random_command_lines_end_with_0_or_2
12  parameters never filled (#686)
      test_gpt.py::test_same_seed_same_weights_and_no_parameter_left_uninitialised
13  evaluation doubles the memory (#616)
      test_incidents.py::test_13_evaluation_copies_no_weights
      test_incidents.py::test_13_evaluation_copies_no_weights_on_a_gpu
14  results scraped from text and from constants (#580)
      test_incidents.py::test_14_figures_come_from_records_and_records_from_the_run
15  half characters on the screen (4c3590c)
      test_text_stream.py::test_random_unicode_one_byte_at_a_time_equals_the_whole_and_every_piece_is_utf8
      test_engine.py::test_random_unicode_streams_to_the_text_that_decoding_at_once_gives
      test_chat_cli.py::test_multi_byte_text_comes_out_as_utf8_whatever_the_locale

Numbers are issues, hashes commits of karpathy/nanochat. Below stand those tests that are at home nowhere else.
"""

import json
import re
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from test_dataset import make_documents, write_parquet
from test_gpt import tiny_gpt
from test_packing import END, conversations, loader
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nanochat import chatdata, cross_entropy, scaling
from nanochat.dataloader import MemoryDocuments, build_loader
from nanochat.dataset import find_text
from nanochat.files import read_json
from nanochat.gpt import GPT
from nanochat.loss_eval import evaluate_bpb, evaluate_chat_loss
from nanochat.packing import Sequence, collate, fit_sequences
from nanochat.report import gather
from nanochat.run import RECORD_KEYS, STAGES, read_metrics
from scripts import base_train, chat_rl, chat_sft, mid_train


def test_the_table_above_names_tests_that_exist():
    named = re.findall(r"(test_\w+\.py)::(\w+)", __doc__)
    for file, name in named:
        assert f"\ndef {name}(" in (Path(__file__).parent / file).read_text(), f"{file}::{name}"
    assert re.findall(r"^ ?(\d+)  ", __doc__, re.M) == [str(number) for number in range(1, 16)]


@pytest.mark.parametrize("sequence_len, per_pass", [(64, 1), (64, 8), (100, 8), (333, 1)])
def test_2_every_batch_has_targets_and_a_finite_loss(sequence_len, per_pass):
    chats = fit_sequences(conversations(60, 2 * sequence_len), sequence_len, END).sequences  # many did not fit
    model = tiny_gpt(sequence_len=sequence_len).float()
    for batch, _ in islice(loader(chats, sequence_len, rows=8, per_pass=per_pass), 2):
        nats, count = model.loss_sum(**batch._asdict())
        assert count > 0 and nats.isfinite()


def test_9_a_run_interrupted_in_any_epoch_sees_every_document_as_often_as_a_straight_one():
    """Documents are told apart by their tokens. 90 steps are more than three epochs."""
    documents = MemoryDocuments([np.arange(100 * i, 100 * i + 3 + i % 50) for i in range(50)])

    def rows(num_steps, state=None):
        batches = build_loader(documents, fingerprint="f", seed=3, sequence_len=15, rows_per_step=4, device_batch_size=4,
                               rank=0, world=1, device=torch.device("cpu"), state=state)
        steps = list(islice(batches, num_steps))
        return [x for x, _, _ in steps], steps[-1][2]

    straight, state = rows(90)
    assert state["epoch"] >= 3
    for stop in (10, 35, 60, 80):  # in the first epoch, and in each of the others
        before, state = rows(stop)
        after, _ = rows(90 - stop, json.loads(json.dumps(state)))
        seen = Counter((torch.cat(before + after).flatten() // 100).tolist())
        assert seen == Counter((torch.cat(straight).flatten() // 100).tolist())


def test_11_a_single_parquet_file_has_both_splits(tmp_path):
    write_parquet(tmp_path / "only.parquet", make_documents(400))
    train, val = find_text(str(tmp_path)).documents()
    assert len(list(train)) + len(list(val)) == 400 and len(list(find_text(str(tmp_path)).documents()[1])) > 0


# -----------------------------------------------------------------------------
# A run of every stage with settings that are nobody's default

FLAGS = {base_train: "--depth 2 --max-seq-len 64 --total-batch-size 384 --device-batch-size 2 --num-iterations 3 "
                     "--eval-tokens 200 --warmup-steps 1",
         mid_train: "--num-iterations 2 --total-batch-size 256 --device-batch-size 1",
         chat_sft: "--num-iterations 2 --total-batch-size 320 --device-batch-size 1",
         chat_rl: "--num-iterations 2 --prompts-per-step 2 --num-samples 2 --max-new-tokens 4 --eval-items 2 "
                  "--skills letters"}


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """(base directory, {stage: record}), of a window that scaling.py does not choose once the base model is trained."""
    home = shutil.copytree(prepared, tmp_path_factory.mktemp("incidents") / "base")
    records = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOCHAT_BASE_DIR", str(home))
        patch.setattr(mid_train, "NUM_GENERATED", 200)
        patch.setattr(chat_sft, "NUM_GENERATED", 200)
        patch.setattr(chatdata, "NUM_VAL", 20)
        patch.setattr(scaling, "LOCAL_WINDOW", 5)
        for stage, (script, flags) in zip(STAGES, FLAGS.items()):
            text = "--data" if script is base_train else "--text-data"
            data = [text, str(home / "text.jsonl")] if script in (base_train, mid_train) else []
            line = [*flags.split(), *data, "--dtype", "float32"]
            records[stage] = script.main(script.build_parser().parse_args(line))
            patch.setattr(scaling, "LOCAL_WINDOW", 8)
    return home, records


def test_3_rates_of_a_run_with_accumulation_stay_between_zero_and_the_peak(trained):
    """Upstream counted micro-batches as steps."""
    home, records = trained
    for stage in STAGES:
        multipliers = [line["lr_mult"] for line in read_metrics(home / "runs" / stage / "d2") if "lr_mult" in line]
        assert len(multipliers) == records[stage]["final_step"] and all(0 < mult <= 1 for mult in multipliers)


def test_7_every_stage_hands_on_the_models_config(trained):
    _, records = trained
    configs = {stage: read_json(Path(record["checkpoint"]) / "config.json")["model"] for stage, record in records.items()}
    assert configs["base"]["window"] == 5 and configs["base"]["layer_types"] == ["sliding", "full"]
    assert all(config == configs["base"] for config in configs.values())


def test_14_figures_come_from_records_and_records_from_the_run(trained, monkeypatch):
    home, records = trained
    monkeypatch.setenv("NANOCHAT_BASE_DIR", str(home))
    for stage, record in records.items():
        assert record == read_json(home / "runs" / stage / "d2" / "result.json")
        assert {"format_version", "script", "stage", "tag", *RECORD_KEYS} <= record.keys()
        unknown = {key for key in RECORD_KEYS if record[key] is None}
        assert unknown <= {"val_bpb", "final_loss", "tok_per_sec"}, stage  # not of every stage, not of so few steps
        lines = [line for line in read_metrics(home / "runs" / stage / "d2") if "loss" in line]
        losses = np.array([line["loss"] for line in lines])
        ages = 0.95 ** np.arange(len(losses))[::-1]  # a mean that forgets, in all its digits: printed are four
        assert record["final_step"] == lines[-1]["step"] == len(losses)
        assert record["final_loss"] == pytest.approx((losses @ ages) / ages.sum(), rel=1e-12)
        # upstream's table assumed its own batch
        assert record["tokens"] == {"base": 3 * 384, "mid": 2 * 256, "sft": 2 * 320}.get(
            stage, round(sum(line["tok_per_sec"] * line["dt_sec"] for line in lines)))
    shown = gather("d2", 0.0).report["stages"]["base"]
    assert shown["final_loss"] == records["base"]["final_loss"] and shown["tokens"] == 3 * 384


# -----------------------------------------------------------------------------
# Memory around an evaluation

class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors made inside it held at once."""

    def __init__(self):
        super().__init__()
        self.live, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {StorageWeakRef(x.untyped_storage()).cdata for x in tree_leaves((args, kwargs))
                 if isinstance(x, torch.Tensor)}  # views and results in place are nothing new
        self.live = {key: (ref, size) for key, (ref, size) in self.live.items() if not ref.expired()}
        for x in tree_leaves(out):
            if isinstance(x, torch.Tensor):
                ref = StorageWeakRef(x.untyped_storage())
                if ref.cdata not in given:
                    self.live[ref.cdata] = (ref, x.untyped_storage().nbytes())
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return out


def evaluated_model(kind: str, width: int, device: str):
    """A model whose weights are most of what there is, after an evaluation; and how to evaluate it again."""
    config = tiny_gpt(n_layer=8, n_embd=width, n_head=4, n_kv_head=4, layer_types=("full",) * 8,
                      value_embed_layers=(), spread=0).config
    model = GPT(config, activation_dtype=torch.bfloat16)
    model.init_weights(0)
    model.to(device)
    docs = MemoryDocuments([list(range(1, 50))])
    chats = [collate([[Sequence(list(range(1, 17)), [1] * 16)]], 16, pad_id=0).to(torch.device(device))] * 3

    def evaluate():
        return evaluate_chat_loss(model, chats) if kind == "chat" else evaluate_bpb(
            model, docs, np.ones(50, np.int32), sequence_len=16, device_batch_size=1, max_tokens=40)
    evaluate()
    return sum(p.nbytes for p in model.parameters()), evaluate


@pytest.mark.parametrize("kind", ["text", "chat"])
def test_13_evaluation_copies_no_weights(kind, monkeypatch):
    monkeypatch.setattr(cross_entropy, "BLOCK_BYTES", 1 << 16)  # else its buffer outweighs so small a model
    weight_bytes, evaluate = evaluated_model(kind, 128, "cpu")
    with LiveBytes() as made:
        evaluate()
    assert 0 < made.peak < weight_bytes / 8  # a copy in bf16 would be a half; one layer's cast is a 48th


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA device")
@pytest.mark.parametrize("kind", ["text", "chat"])
def test_13_evaluation_copies_no_weights_on_a_gpu(kind):
    weight_bytes, evaluate = evaluated_model(kind, 512, "cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    evaluate()
    assert torch.cuda.max_memory_allocated() - before < weight_bytes / 8
    assert torch.cuda.memory_allocated() == before
