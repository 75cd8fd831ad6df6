"""The loader in figures: what it wastes, how fast it is alone, and what its rows do to the loss.

    python -m scripts.tok_train --data texts/ && python -m dev.loader_figures waste --data texts/
    python -m dev.loader_figures speed --data texts/
    python -m dev.loader_figures bpb --data texts/ --packer concatenation --seed 1

The documents are web-like: the text end to end, cut to lengths from a lognormal distribution with a median of 2,700
characters and sigma 1.05. Needs a tokenizer (scripts.tok_train). Waste and speed are of rows of 2,048 tokens.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nanochat.common import command, compute_init, print0, tokenizer_path
from nanochat.dataloader import MemoryDocuments, RowPacker, build_loader, read_rows
from nanochat.dataset import read_documents, resolve_shards
from nanochat.gpt import GPT
from nanochat.guards import Guard
from nanochat.loss_eval import evaluate_bpb
from nanochat.scaling import plan
from nanochat.schedules import lr_multiplier, muon_momentum
from nanochat.token_shards import TokenShards, tokenize_documents
from nanochat.tokenizer import Tokenizer
from nanochat.train_loop import build_optimizer, train_step

MEDIAN_CHARS, SIGMA = 2700, 1.05
NUM_VAL = 200  # documents held out
SEQUENCE_LEN = 2048
CPU = torch.device("cpu")


def web_like_documents(data: str, shrink: int = 1) -> list[str]:
    """The text cut to web-like lengths, divided by `shrink`; the last document ends where the text does."""
    text = "\n\n".join(read_documents(data))
    rng, start, documents = np.random.default_rng(0), 0, []
    while start < len(text):
        num_chars = max(1, round(float(np.exp(rng.normal(np.log(MEDIAN_CHARS / shrink), SIGMA)))))
        documents.append(text[start:start + num_chars])
        start += num_chars
    return documents


# -----------------------------------------------------------------------------
# Waste

class Concatenation(RowPacker):
    """Documents end to end, cut wherever a row is full (and without tails as short as ours, 0.1%)."""

    def next_row(self):
        row, space = [], self.row_tokens
        while space:
            if not self.remainders:
                if not self.waiting:
                    self._read_document()
                self.remainders.append((self._take(self.waiting[0]), 0))
            row.append(self._piece(*self.remainders.popleft(), space))
            space -= row[-1][2] - row[-1][1]
        return row


class NoTails(RowPacker):
    """Ours until 2026-11-26: nothing is thrown away, so nearly every row cuts the oldest document for its last tokens."""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.can_cut, self.max_tail = False, 0  # chosen as if documents stayed whole, and then cut all the same

    def _next_document(self, space, is_first):
        doc = super()._next_document(space, is_first)
        return self.waiting[0] if doc is None else doc


PACKERS = {"ours": RowPacker, "no tails": NoTails, "concatenation": Concatenation}


def show_waste(lengths: np.ndarray, seed: int):
    print(f"{len(lengths):,} documents of {lengths.mean():,.0f} tokens (median {np.median(lengths):,.0f}), "
          f"rows of {SEQUENCE_LEN + 1:,}")
    for name, build in PACKERS.items():
        packer, rows = build(lengths, SEQUENCE_LEN + 1, seed=seed, can_cut=True), []
        while packer.epoch == 0:
            rows.append(packer.next_row())
        used = sum(stop - start for row in rows for _, start, stop in row)
        waiting = sum(lengths[doc] - offset for doc, offset in packer.state()["buffer"])
        read = lengths.sum() + lengths[packer.order[:packer.next_doc]].sum()  # the last row looked into the next epoch
        from_start = sum(stop - start for row in rows for _, start, stop in row if start == 0)
        print(f"{name:>14}: waste {100 * (read - waiting - used) / lengths.sum():5.2f}% | rows that open with a remainder "
              f"{100 * np.mean([row[0][1] > 0 for row in rows]):5.1f}% | tokens that see their document's beginning "
              f"{100 * from_start / used:5.1f}% | pieces per document {sum(map(len, rows)) / len(lengths):.2f}")


# -----------------------------------------------------------------------------
# Speed

def tokens_per_sec(shards: TokenShards, rows_per_pass: int = 16) -> float:
    """Of one epoch, from nothing made to everything consumed."""
    start = time.perf_counter()
    loader = build_loader(shards.train, fingerprint=shards.fingerprint, seed=0, sequence_len=SEQUENCE_LEN,
                          rows_per_step=4 * rows_per_pass, device_batch_size=rows_per_pass, rank=0, world=1, device=CPU)
    num_tokens = 0
    for x, _, state in loader:
        num_tokens += x.numel()
        if state["epoch"]:
            break
    return num_tokens / (time.perf_counter() - start)


def show_speed(documents: list[str], tokenizer: Tokenizer, repeats: int):
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.jsonl"
        text.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
        rates = {"text, tokenised first": [], "shards": [], "sha256 of the shards, MB/s": []}
        for number in range(repeats):
            start = time.perf_counter()
            shards = resolve_shards(str(text), None, tokenizer, out_dir=Path(folder) / f"shards-{number}")
            made_sec = time.perf_counter() - start
            rates["shards"].append(tokens_per_sec(shards))
            rates["text, tokenised first"].append(1 / (made_sec / shards.train.num_tokens + 1 / rates["shards"][-1]))
            start = time.perf_counter()
            shards.verify()
            num_bytes = sum(file.stat().st_size for file in shards.folder.glob("*/*"))
            rates["sha256 of the shards, MB/s"].append(num_bytes / 1e6 / (time.perf_counter() - start))
    print(f"{shards.train.num_tokens:,} tokens, one epoch, {repeats} times: median (least, most) per second")
    for name, found in rates.items():
        print(f"{name:>27}: {statistics.median(found):14,.0f} ({min(found):,.0f}, {max(found):,.0f})")


# -----------------------------------------------------------------------------
# What the rows do to the loss

def train(packer: RowPacker, split, run_plan, tokenizer: Tokenizer, seed: int) -> GPT:
    """An eager fp32 run of the dial's rates over the packer's rows."""
    model, guard, last = GPT(run_plan.config), Guard(CPU), run_plan.num_iterations
    model.init_weights(seed)
    optimizer = build_optimizer(model, embedding_lr=run_plan.embedding_lr, unembedding_lr=run_plan.unembedding_lr,
                                matrix_lr=run_plan.matrix_lr, weight_decay=run_plan.weight_decay,
                                muon_dtype=torch.float32)
    for step in range(last):
        tokens = read_rows(split, [packer.next_row() for _ in range(run_plan.rows_per_step)], packer.row_tokens)
        train_step(model, optimizer, [{"idx": tokens[:, :-1], "targets": tokens[:, 1:]}], guard,
                   lr_mult=lr_multiplier(step, last, warmup_steps=20, warmdown_frac=0.65, final_frac=0.05),
                   momentum=muon_momentum(step))
    return model


def show_bpb(documents: list[str], tokenizer: Tokenizer, args):
    """On held-out documents twice: end to end, as evaluate_bpb does it, and each from its beginning for one row."""
    run_plan = plan(args.depth, vocab_size=tokenizer.vocab_size, max_seq_len=args.max_seq_len, world=1,
                    device_type="cpu", num_iterations=args.num_iterations, total_batch_size=args.total_batch_size,
                    device_batch_size=args.total_batch_size // args.max_seq_len)
    num_read = int(np.searchsorted(np.cumsum([len(text) for text in documents]), 6 * run_plan.total_tokens))
    ids = [np.array(document) for document in tokenize_documents(tokenizer, documents[:NUM_VAL + num_read])]
    val, split = MemoryDocuments(ids[:NUM_VAL]), MemoryDocuments(ids[NUM_VAL:])
    starts = [document[:args.max_seq_len + 1] for document in ids[:NUM_VAL] if len(document) > 1]
    num_bytes = [tokenizer.token_bytes()[document].sum() for document in starts]
    packer = PACKERS[args.packer](split.lengths, args.max_seq_len + 1, seed=args.seed, can_cut=True)
    begun = time.process_time()
    model = train(packer, split, run_plan, tokenizer, args.seed)

    def bpb(documents):
        return evaluate_bpb(model, documents, tokenizer.token_bytes(), sequence_len=args.max_seq_len,
                            device_batch_size=8, max_tokens=10 ** 9)
    from_start = np.average([bpb(MemoryDocuments([document])) for document in starts], weights=num_bytes)
    assert packer.epoch == 0, "less text than is trained on"
    print(f"depth {args.depth}, {run_plan.total_tokens:,} tokens in rows of {args.max_seq_len + 1}, seed {args.seed}, "
          f"{args.packer:>13}: end to end {bpb(val):.4f}, from their beginning {from_start:.4f} bits per byte "
          f"({time.process_time() - begun:.0f} s of processor time)", flush=True)


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["waste", "speed", "bpb"])
    parser.add_argument("--data", required=True, help="text to cut documents from: file or folder")
    parser.add_argument("--seed", type=int, default=0, help="of order and weights (default 0)")
    parser.add_argument("--repeats", type=int, default=5, help="speed: measurements (default 5)")
    bpb = parser.add_argument_group("bpb")
    bpb.add_argument("--depth", type=int, default=2)
    bpb.add_argument("--max-seq-len", type=int, default=256, help="documents shrink as rows do (default 256)")
    bpb.add_argument("--num-iterations", type=int, default=100)
    bpb.add_argument("--total-batch-size", type=int, default=4096)
    bpb.add_argument("--packer", choices=PACKERS, default="ours")
    return parser


@command
def main(args):
    compute_init("cpu")
    tokenizer = Tokenizer.load(tokenizer_path())
    shrink = SEQUENCE_LEN // args.max_seq_len if args.what == "bpb" else 1
    documents = web_like_documents(args.data, shrink)
    print0(f"{len(documents):,} documents, {sum(map(len, documents)) / 1e6:.1f} million characters")
    if args.what == "waste":
        show_waste(np.array([len(ids) for ids in tokenize_documents(tokenizer, documents)]), args.seed)
    elif args.what == "speed":
        show_speed(documents, tokenizer, args.repeats)
    else:
        show_bpb(documents, tokenizer, args)


if __name__ == "__main__":
    main(build_parser().parse_args())
