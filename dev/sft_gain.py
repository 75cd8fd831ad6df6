"""Does SFT on real conversations teach more about conversations than as many tokens of further pretraining?

    python -m dev.sft_gain --prose textbooks/ --val-prose book.jsonl --chats a.jsonl,b.jsonl --seeds 0,1

For each seed, below the base directory: a base model of the prose; SFT of it on nine tenths of the chats; and a second
base model whose run was as many tokens longer, its schedule too: a stronger opponent than going on after the rates fell
to nothing. On the other tenth (by hash), nats per token of the answers, of three kinds:

    chat        as a chat model reads it, end of turn included; a base model has never seen these special tokens
    words       the same without the end of turn
    transcript  the answer's words after "User: ...\\nAssistant:" as plain text, as a base model may know it
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from nanochat.checkpoint import load_model
from nanochat.common import base_dir, command, print0, tokenizer_path
from nanochat.conversation import read_chats, render, visible_text
from nanochat.files import atomic_write
from nanochat.packing import Sequence, collate, fit_sequences
from scripts import base_train, chat_sft, tok_train

BASE = ("--depth 2 --max-seq-len 256 --total-batch-size 2048 --matrix-lr 0.3 --unembedding-lr 0.12 --embedding-lr 2 "
        "--dtype float32 --resume auto")  # the quickstart's rates, dev/LOG.md
SFT = "--source base --dtype float32 --resume auto"
ROW_TOKENS = 256
NUM_DRAWS = 2000  # of the bootstrap


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prose", required=True, help="text to pretrain on, file or folder")
    parser.add_argument("--val-prose", required=True, help="text to validate on; may lie in that folder")
    parser.add_argument("--chats", required=True, help="comma list of .jsonl files")
    parser.add_argument("--steps", type=int, default=150, help="of the base model, 2,048 tokens each (default 150)")
    parser.add_argument("--more-steps", type=int, default=75, help="of SFT, and of further pretraining (default 75)")
    parser.add_argument("--seeds", default="0,1", help="comma list (default 0,1)")
    return parser


@command
def main(args):
    train, val = split_chats(args.chats.split(","))
    text = f"--data {args.prose} --val-data {args.val_prose}"
    if not tokenizer_path().exists():
        call(tok_train, f"--data {args.prose} --vocab-size 2048")
    losses = {}
    for seed in args.seeds.split(","):
        common = f"--seed {seed} --model-tag s{seed}"
        call(base_train, f"{BASE} {text} {common} --num-iterations {args.steps}")
        call(base_train, f"{BASE} {text} {common}-longer --num-iterations {args.steps + args.more_steps}")
        call(chat_sft, f"{SFT} --data {train} --val-data {val} {common} --num-iterations {args.more_steps}")
        for name, (stage, tag) in {"base": ("base", f"s{seed}"), "further pretraining": ("base", f"s{seed}-longer"),
                                   "SFT": ("sft", f"s{seed}")}.items():
            losses[seed, name] = answer_losses(stage, tag, val)
    print0(f"{'seed':<6}{'model':<22}{'chat':>12}{'words':>12}{'transcript':>12}")
    for (seed, name), found in losses.items():
        print0(f"{seed:<6}{name:<22}" + "".join(f"{mean(*of):>12.4f}" for of in found.values()))
    gains = {seed: {kind: gain(losses[seed, "further pretraining"][theirs], losses[seed, "SFT"][ours])
                    for kind, theirs, ours in (("chat", "chat", "chat"), ("words", "words", "words"),
                                               ("best of each", "transcript", "words"))}
             for seed in args.seeds.split(",")}
    for seed, found in gains.items():
        print0(f"{seed:<6}further pretraining less SFT, with paired 95% intervals: " + "; ".join(
            f"{kind} {value:+.3f} ({low:+.3f} to {high:+.3f})" for kind, (value, low, high) in found.items()))
    return {"script": "sft_gain", "gains": gains}


def call(script, flags: str) -> dict:
    return script.main(script.build_parser().parse_args(flags.split()))


def split_chats(files: list[str]) -> tuple[Path, Path]:
    """Files of nine tenths and of one tenth of all conversations, by hash."""
    sides = {"train": "", "val": ""}
    for chat in (chat for file in files for chat in read_chats(file)):
        line = json.dumps({"messages": chat["messages"]}) + "\n"
        sides["val" if hashlib.sha256(line.encode()).digest()[0] < 26 else "train"] += line
    for side, lines in sides.items():
        print0(f"{lines.count(chr(10)):,} conversations: {side}")
        atomic_write(base_dir() / f"chats-{side}.jsonl", lines)
    return base_dir() / "chats-train.jsonl", base_dir() / "chats-val.jsonl"


# -----------------------------------------------------------------------------
# Losses by conversation

def answer_losses(stage: str, tag: str, val: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{kind: (nats, targets) of every conversation}"""
    model, tokenizer, _ = load_model(stage, tag, None, device=torch.device("cpu"), dtype=torch.float32)
    end = tokenizer.special["<|assistant_end|>"]
    chats = fit_sequences((Sequence(*render(tokenizer, chat)) for chat in read_chats(val)), ROW_TOKENS, end)
    words = [Sequence(s.ids, [m * (i != end) for i, m in zip(s.ids, s.mask)]) for s in chats.sequences]
    plain = [transcript(tokenizer, chat, len(s.ids)) for chat, s in zip(fitting(tokenizer, val, end), chats.sequences)]
    return {kind: tuple(np.array([nats_of(model, s, tokenizer.bos_id) for s in sequences]).T)
            for kind, sequences in (("chat", chats.sequences), ("words", words), ("transcript", plain))}


def fitting(tokenizer, val: Path, end: int) -> list[dict]:
    """The conversations of which fit_sequences keeps something."""
    return [chat for chat in read_chats(val)
            if fit_sequences([Sequence(*render(tokenizer, chat))], ROW_TOKENS, end).sequences]


def transcript(tokenizer, chat: dict, num_tokens: int) -> Sequence:
    """As plain text, the answers' words being the same tokens as in the chat; cut where the rendered chat was."""
    ids, mask, rendered = [tokenizer.bos_id], [0], 1
    for message in chat["messages"]:
        words = tokenizer.encode(visible_text(message["content"]))
        rendered += len(words) + 2  # its two special tokens
        if rendered > num_tokens:
            break
        role = tokenizer.encode({"user": "User: ", "assistant": "\nAssistant: "}[message["role"]])
        line_end = tokenizer.encode("\n\n") if message["role"] == "assistant" else []
        ids += role + words + line_end
        mask += [0] * len(role) + [int(message["role"] == "assistant")] * len(words) + [0] * len(line_end)
    return Sequence(ids, mask)


@torch.no_grad()
def nats_of(model, sequence: Sequence, pad_id: int) -> tuple[float, int]:
    length = min(len(sequence.ids), ROW_TOKENS + 1)
    batch = collate([[Sequence(sequence.ids[:length], sequence.mask[:length])]], length - 1, pad_id)
    nats, num_targets = model.loss_sum(**batch._asdict())
    return nats.item(), num_targets.item()


def mean(nats, targets) -> float:
    return nats.sum() / targets.sum()


def gain(theirs, ours) -> tuple[float, float, float]:
    """How much lower ours is, and the 95% interval of that, conversations drawn again with replacement."""
    rng, n = np.random.default_rng(0), len(ours[0])
    draws = []
    for _ in range(NUM_DRAWS):
        drawn = rng.integers(n, size=n)
        draws.append(mean(*(x[drawn] for x in theirs)) - mean(*(x[drawn] for x in ours)))
    return (mean(*theirs) - mean(*ours), *np.quantile(draws, (0.025, 0.975)).tolist())


if __name__ == "__main__":
    main(build_parser().parse_args())
