"""Whose is the thing? What a fresh model of the quickstart's size needs to find a name by what stood after it.

    python -m dev.binding                           # as built: the token before in the embedding, six in the values
    python -m dev.binding --spread 0                # nothing of the tokens before in any embedding: not in 400 steps
    python -m dev.binding --carried 0               # nothing of the token before in the embedding: not either

Puzzles of 2 to 5 people: "Tove has a lamp. Ben has a kite. The one who has a kite is Ben. The one who has a lamp is
Tove." In half of them the thing is asked for: "Tove has a lamp." Only answers are trained on. Counted is the first
answer of each new puzzle, where nothing can be told from what was answered before. Needs the quickstart's tokenizer.
"""

import argparse
import random
from dataclasses import replace

import torch

from nanochat import gpt
from nanochat.checkpoint import build_model
from nanochat.common import UserError, choose_dtype, command, compute_init, print0, tokenizer_path
from nanochat.gpt import GPT
from nanochat.guards import Guard
from nanochat.scaling import SPREAD, plan
from nanochat.schedules import lr_multiplier, muon_momentum
from nanochat.tinyworld import people
from nanochat.tokenizer import Tokenizer
from nanochat.train_loop import build_optimizer, train_step

ROWS, ROW_LEN = 16, 256
RATES = {"matrix_lr": 0.3, "unembedding_lr": 0.12, "embedding_lr": 2}  # of the quickstart
WHAT_FORM = (" {} has a", ".")          # what is asked for stands between
WHO_FORM = (" The one who has a {} is", ".")
FEW_NAMES, FEW_SHARE = 12, 0.7  # most puzzles are about the same few, which halves the steps to the first answers
TRAINED, WHAT, WHO = 1, 2, 3    # marks of answer tokens: not counted, the first of a puzzle by what it asks for


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-iterations", type=int, default=400, help="steps of 4,096 tokens (default 400)")
    parser.add_argument("--spread", type=int, default=SPREAD,
                        help=f"tokens before it that half of a value embedding sums up (default {SPREAD})")
    parser.add_argument("--carried", type=float, default=gpt.CARRIED,
                        help=f"how much of the embedding of the token before is added (default {gpt.CARRIED})")
    parser.add_argument("--seed", type=int, default=0)
    return parser


class Puzzles:
    def __init__(self, tokenizer: Tokenizer, seed: int, *, few_share: float):
        pieces = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
        self.things = [piece[1:] for piece in pieces if piece[:1] == " " and piece[3:] and piece[1:].isascii()
                       and piece[1:].isalpha() and piece.islower()]
        self.names = [name for name, _ in people(random.Random(0), "train", 350)]
        self.tokenizer, self.rng = tokenizer, random.Random(seed)
        self.few_share = few_share

    def puzzle(self) -> tuple[list[int], list[int]]:
        """Token ids and the mark of each."""
        rng, count = self.rng, self.rng.randrange(2, 6)
        pool = self.names[:FEW_NAMES] if rng.random() < self.few_share else self.names
        pairs = list(zip(rng.sample(pool, count), rng.sample(self.things, count)))
        ids, marks = [self.tokenizer.bos_id], [0]

        def say(text, mark=0):
            new = self.tokenizer.encode(text)
            ids.extend(new)
            marks.extend([mark] + [0] * (len(new) - 1))
        for name, thing in pairs:
            say(f" {name} has a {thing}.")
        asks_who = rng.random() < 0.5
        before, after = WHO_FORM if asks_who else WHAT_FORM
        for number, pair in enumerate(rng.sample(pairs, count)):
            asked, answer = pair[::-1] if asks_who else pair
            say(before.format(asked))
            say(f" {answer}", TRAINED if number else WHO if asks_who else WHAT)
            say(after)
        return ids, marks

    def rows(self):
        """idx, targets and marks of the targets, (ROWS, ROW_LEN) each."""
        rows = []
        for _ in range(ROWS):
            ids, marks = [], []
            while len(ids) <= ROW_LEN:
                more_ids, more_marks = self.puzzle()
                ids, marks = ids + more_ids, marks + more_marks
            rows.append((ids[:ROW_LEN + 1], marks[:ROW_LEN + 1]))
        ids, marks = (torch.tensor(columns) for columns in zip(*rows))
        return ids[:, :-1], ids[:, 1:], marks[:, 1:]


@torch.no_grad()
def share_right(model: GPT, batches) -> dict[str, float]:
    right = {"what": [], "who": []}
    for idx, targets, marks in batches:
        is_right = model.logits(model(idx).flatten(0, 1)).argmax(-1).view_as(targets) == targets
        for name, mark in (("what", WHAT), ("who", WHO)):
            right[name].append(is_right[marks == mark].float())
    return {name: round(100 * torch.cat(found).mean().item(), 1) for name, found in right.items()}


@command
def main(args):
    if args.num_iterations < 1 or args.spread < 0:
        raise UserError("--num-iterations takes 1 or more steps, --spread 0 or more tokens")
    device = compute_init("cpu")
    dtype = choose_dtype(None, device)
    tokenizer = Tokenizer.load(tokenizer_path())
    run_plan = plan(4, vocab_size=tokenizer.vocab_size, max_seq_len=512, world=1, device_type="cpu",
                    num_iterations=args.num_iterations, total_batch_size=ROWS * ROW_LEN, **RATES)
    gpt.CARRIED = args.carried
    model = build_model(replace(run_plan.config, spread=args.spread), device, dtype)
    model.init_weights(args.seed)
    optimizer = build_optimizer(model, embedding_lr=run_plan.embedding_lr, unembedding_lr=run_plan.unembedding_lr,
                                matrix_lr=run_plan.matrix_lr, weight_decay=run_plan.weight_decay, muon_dtype=dtype)
    train = Puzzles(tokenizer, args.seed, few_share=FEW_SHARE)
    held_out = Puzzles(tokenizer, args.seed + 1, few_share=0.0)
    new, record = [held_out.rows() for _ in range(4)], {}
    guard = Guard(device)
    for step in range(1, args.num_iterations + 1):
        idx, targets, marks = train.rows()
        batch = {"idx": idx, "targets": targets.masked_fill(marks == 0, -1)}
        lr_mult = lr_multiplier(step - 1, args.num_iterations, warmup_steps=20, warmdown_frac=0.4, final_frac=0.05)
        result = train_step(model, optimizer, [batch], guard, lr_mult=lr_mult, momentum=muon_momentum(step - 1))
        if step % 50 == 0 or step == args.num_iterations:
            record[step] = share_right(model, new)
            print0(f"step {step:>4} | loss {result.loss:.3f} | right: what {record[step]['what']:.1f}%, "
                   f"who {record[step]['who']:.1f}%")
    return {"args": vars(args), "right": record}


if __name__ == "__main__":
    main(build_parser().parse_args())
