"""Truth: what a kill or a bad disk leaves behind must never be taken for a checkpoint."""

import json

import pytest
import torch
from test_gpt import tiny_gpt

from nanochat.checkpoint import (find_step, list_steps, load_model, newest_step, record_rollback, resume, step_problem,
                                 weights_sha256)
from nanochat.common import UserError
from nanochat.files import write_json
from nanochat.gpt import GPT, GPTConfig
from nanochat.run import Run, read_metrics
from nanochat.saver import Saver
from nanochat.tokenizer import Tokenizer
from nanochat.train_loop import build_optimizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(["the cat sat on the mat and the dog sat on the log " * 20], 280)


def small_model(tokenizer, **changes):
    config = tiny_gpt(vocab_size=tokenizer.vocab_size, **changes).config
    model = GPT(config)
    model.init_weights(0)
    return model


def small_optimizer(model):
    return build_optimizer(model, embedding_lr=0.1, unembedding_lr=0.1, matrix_lr=0.1, weight_decay=0.0,
                           muon_dtype=torch.float32)


def save_step(run, step, *, model, optimizer, tokenizer, state):
    saver = Saver(run, model=model, optimizer=optimizer, tokenizer=tokenizer)
    saver.save(step, state)
    saver.finish()


def saved_run(tokenizer, stage="sft", tag="d2", steps=(5, 10), **changes):
    run = Run(stage, tag)
    model = small_model(tokenizer, **changes)
    optimizer = small_optimizer(model)
    write_json(run.dir / "config.json", {"model": vars(model.config), "settings": {}})
    for step in steps:
        model.loss_sum(torch.ones(1, 4, dtype=torch.long), torch.full((1, 4), step))[0].backward()
        optimizer.reduce_gradients()
        optimizer.scale_gradients(1.0)
        optimizer.step(lr_mult=1, momentum=0.9, is_good=torch.tensor(True))
        save_step(run, step, model=model, optimizer=optimizer, tokenizer=tokenizer, state={"loader": {"at": step}})
    return run, model, optimizer


def test_a_step_gives_back_weights_moments_and_state(tokenizer):
    run, model, optimizer = saved_run(tokenizer)
    other = small_model(tokenizer)
    other_optimizer = small_optimizer(other)
    saved, state = resume(run, other, other_optimizer, is_asked=True)
    assert saved == run.dir / "step_00000010" and state["step"] == 10 and state["loader"] == {"at": 10}
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))
    assert optimizer.num_updates == other_optimizer.num_updates == 2
    mine, theirs = optimizer.state_tensors(), other_optimizer.state_tensors()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_every_config_field_survives_the_handoff_between_stages(tokenizer):
    """Upstream's SFT once lost the attention window (8b4849d)."""
    _, model, _ = saved_run(tokenizer, window=3, layer_types=("full", "sliding"), n_kv_head=1, sequence_len=24)
    loaded = load_model("sft", "d2", None, device=CPU, dtype=torch.float32)
    expected = GPTConfig(24, tokenizer.vocab_size, 2, 4, 1, 32, ("full", "sliding"), 3, (1,), 3)
    assert loaded.model.config == model.config == expected
    assert loaded.tokenizer.fingerprint == tokenizer.fingerprint
    assert (loaded.info["source"], loaded.info["tag"], loaded.info["step"]) == ("sft", "d2", 10)


@pytest.mark.parametrize("damage", [
    lambda step: (step / "manifest.json").unlink(),
    lambda step: (step / "manifest.json").write_text('{"files": '),
    lambda step: (step / "model.safetensors").write_bytes((step / "model.safetensors").read_bytes()[:-7]),
    lambda step: (step / "tokenizer.json").unlink(),
    lambda step: (step / "model.safetensors").write_bytes(flip_a_byte((step / "model.safetensors").read_bytes())),
    lambda step: step.rename(step.with_name(step.name + ".tmp-12345678")),
], ids=["no manifest", "torn manifest", "truncated", "file missing", "flipped byte", "not yet renamed"])
def test_a_bad_step_is_named_and_the_one_before_is_taken(tokenizer, capsys, damage):
    run, _, _ = saved_run(tokenizer)
    damage(run.dir / "step_00000010")
    assert newest_step(run.dir) == run.dir / "step_00000005"
    if (run.dir / "step_00000010").exists():
        assert f"skipping {run.dir / 'step_00000010'}" in capsys.readouterr().err


def flip_a_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_saving_the_same_step_again_replaces_it(tokenizer):
    run, model, optimizer = saved_run(tokenizer, steps=(5,))
    before = weights_sha256(run.dir / "step_00000005")
    model.wte.weight.data += 1
    save_step(run, 5, model=model, optimizer=optimizer, tokenizer=tokenizer, state={})
    assert weights_sha256(run.dir / "step_00000005") != before
    assert [path.name for path in run.dir.iterdir() if "step" in path.name] == ["step_00000005"]


def test_no_file_is_a_pickle(tokenizer):
    run, _, _ = saved_run(tokenizer, steps=(5,))
    assert {path.suffix for path in (run.dir / "step_00000005").iterdir()} == {".json", ".safetensors"}
    assert step_problem(run.dir / "step_00000005", with_hashes=True) is None


def test_default_is_the_best_stage_of_the_newest_tag(tokenizer):
    import os
    for stage, tag in (("base", "d9"), ("mid", "d4"), ("sft", "d4"), ("sft", "d2"), ("rl", "d2")):
        saved_run(tokenizer, stage=stage, tag=tag, steps=(3,))
    assert find_step(None, None, None).parts[-3:] == ("rl", "d2", "step_00000003")
    assert find_step(None, "d4", None).parts[-3:] == ("sft", "d4", "step_00000003")
    assert find_step("base", None, None).parts[-3:] == ("base", "d9", "step_00000003")
    assert find_step(("mid", "base"), None, 3).parts[-3:-1] == ("mid", "d4")
    older = Run("rl", "d2").dir / "step_00000003" / "manifest.json"
    for stage in ("sft", "rl"):
        os.utime(Run(stage, "d2").dir / "step_00000003" / "manifest.json", (1, 1))
    assert older.exists() and find_step(None, None, None).parts[-3:-1] == ("sft", "d4")


@pytest.mark.parametrize("source, tag, step, words", [
    ("sft", "nope", None, "there are: sft/d2"), (None, None, 99, "there are: 3"), ("tokenizer", None, None, "choose one"),
    ("base", None, None, "no trained model")])
def test_what_does_not_exist_is_answered_with_what_does(tokenizer, source, tag, step, words):
    saved_run(tokenizer, steps=(3,))
    with pytest.raises(UserError, match=words):
        find_step(source, tag, step)


def test_metrics_are_cut_back_to_the_resumed_step(tokenizer):
    run, model, optimizer = saved_run(tokenizer, steps=(5,))
    lines = [{"step": 4, "loss": 1}, {"step": 5, "loss": 2}, {"step": 5, "val_bpb": 3}, {"step": 6, "loss": 4}]
    (run.dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 7, "lo')
    resume(run, model, optimizer, is_asked=True)
    assert read_metrics(run.dir) == lines[:2]


def test_a_rollback_is_in_the_state_of_every_step_and_forgotten_when_the_run_starts_over(tokenizer):
    run, model, optimizer = saved_run(tokenizer, steps=())
    state = {"loader": {"skipped": [1]}, "guards": {"num_rollbacks": 0}}
    save_step(run, 5, model=model, optimizer=optimizer, tokenizer=tokenizer, state=state)
    record_rollback(run.dir, [7, 8])
    record_rollback(run.dir, [9])
    _, state = resume(run, model, optimizer, is_asked=True)
    assert state["loader"]["skipped"] == [1, 7, 8, 9] and state["guards"]["num_rollbacks"] == 2
    (run.dir / "step_00000005" / "manifest.json").unlink()
    assert resume(run, model, optimizer, is_asked=True)[0] is None and not (run.dir / "rollbacks.json").exists()


def test_list_steps_ignores_what_is_not_a_step(tokenizer):
    run, _, _ = saved_run(tokenizer, steps=(5,))
    (run.dir / "step_12").mkdir()
    (run.dir / "step_00000007.tmp-0badcafe").mkdir()
    assert list_steps(run.dir) == [run.dir / "step_00000005"]
