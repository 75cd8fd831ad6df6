"""Train the tokenizer, the first stage: everything later reads the ids it gives.

    python -m scripts.tok_train                                    # on the embedded world, prose and chats
    python -m scripts.tok_train --data book.txt --chats mine.jsonl  # on your own text

Of --data only the training text is read; what will validate the model stays unseen. Of --chats all is read.
Writes tokenizer/tokenizer.json and, for the report, its record beside it. Trained models keep a copy of their own,
so a new tokenizer does not touch them.
"""

import argparse
import itertools
import sys

from nanochat.common import UserError, command, print0, tokenizer_path
from nanochat.conversation import read_chats, visible_text
from nanochat.dataset import find_text
from nanochat.files import write_json
from nanochat.run import new_record, process_seconds
from nanochat.tokenizer import MIN_VOCAB_SIZE, Tokenizer

SMALL_VOCAB_SIZE = 4096      # on a CPU at depth 4 the head of a 32,768 vocabulary is most of the work
LARGE_VOCAB_SIZE = 32_768    # upstream's
MAX_VOCAB_SIZE = 1_000_000   # four times the largest in use
LARGE_TEXT_BYTES = 100e6     # from here on the large one; a judgement, not measured
MIN_BYTES_PER_TOKEN = 10     # below that the merges spell out whole sentences of the text
NUM_TINYWORLD_CHATS = 2000


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help=".txt, .jsonl, .jsonl.gz, .parquet or a folder (default: the embedded world)")
    parser.add_argument("--val-data", help="text to validate the model on, not read here (default: 1%% of --data)")
    parser.add_argument("--chats", help="conversations to train on as well, .jsonl or .jsonl.gz")
    parser.add_argument("--vocab-size", type=int, help="ids, the 256 bytes and 9 specials included "
                        f"(default: {SMALL_VOCAB_SIZE}, from 100 MB of --data on {LARGE_VOCAB_SIZE})")
    parser.add_argument("--max-chars", type=int, default=2_000_000_000, help="to read at most (default 2 billion)")
    parser.add_argument("--doc-cap", type=int, default=10_000, help="characters read of one document (default 10,000)")
    parser.add_argument("--overwrite", action="store_true", help="replace the tokenizer that is there")
    return parser


def check_flags(args):
    if args.vocab_size is not None and not MIN_VOCAB_SIZE <= args.vocab_size <= MAX_VOCAB_SIZE:
        raise UserError(f"--vocab-size {args.vocab_size}: from {MIN_VOCAB_SIZE} to {MAX_VOCAB_SIZE:,}, "
                        f"usually {SMALL_VOCAB_SIZE} or more")
    for flag, value in (("--max-chars", args.max_chars), ("--doc-cap", args.doc_cap)):
        if value < 1:
            raise UserError(f"{flag} {value}: at least 1 character")
    if tokenizer_path().exists() and not args.overwrite:
        raise UserError(f"a tokenizer exists at {tokenizer_path()}; use it, or replace it with --overwrite")


def chat_texts(chats: str | None, use_tinyworld: bool):
    """The visible text of every message: special tokens and tool calls are no text to merge."""
    if use_tinyworld:
        from nanochat.tinyworld_chats import conversations
        yield from message_texts(conversations("train", NUM_TINYWORLD_CHATS, 0))
    if chats is not None:
        yield from message_texts(read_chats(chats))


def message_texts(conversations):
    return (visible_text(message["content"]) for chat in conversations for message in chat["messages"])


class CappedTexts:
    """Passes texts on, cut to doc_cap characters, until max_chars; counts the bytes that went by."""

    def __init__(self, texts, *, max_chars: int, doc_cap: int):
        self.texts, self.chars_left, self.doc_cap, self.num_bytes = texts, max_chars, doc_cap, 0

    def __iter__(self):
        for text in self.texts:
            text = text[:min(self.doc_cap, self.chars_left)]
            self.chars_left -= len(text)
            self.num_bytes += len(text.encode("utf-8", "surrogatepass"))
            yield text
            if not self.chars_left:
                return


@command
def main(args):
    check_flags(args)

    # -----------------------------------------------------------------------------
    # The text; chats come first, so that --max-chars cannot leave them out
    source = find_text(args.data, args.val_data)
    train_documents, _ = source.documents()
    vocab_size = args.vocab_size or (LARGE_VOCAB_SIZE if args.data and source.text_bytes >= LARGE_TEXT_BYTES
                                     else SMALL_VOCAB_SIZE)
    texts = CappedTexts(itertools.chain(chat_texts(args.chats, args.data is None), train_documents),
                        max_chars=args.max_chars, doc_cap=args.doc_cap)

    # -----------------------------------------------------------------------------
    # Train and save
    tokenizer = Tokenizer.train(texts, vocab_size)
    if texts.num_bytes < MIN_BYTES_PER_TOKEN * vocab_size:
        raise UserError(f"{texts.num_bytes:,} bytes of text are too few for --vocab-size {vocab_size}, which needs "
                        f"{MIN_BYTES_PER_TOKEN * vocab_size:,}; give more text or a smaller vocabulary")
    if tokenizer.vocab_size < vocab_size:
        print0(f"the text ran out of pairs to merge: {tokenizer.vocab_size:,} ids instead of {vocab_size:,}")
    tokenizer.save(tokenizer_path())
    print0(f"tokenizer of {tokenizer.vocab_size:,} ids from {texts.num_bytes / 1e6:.1f} MB of text: {tokenizer_path()}")
    record = new_record("tok_train", "tokenizer", None, status="finished", total_sec=process_seconds(),
                        vocab_size=tokenizer.vocab_size, text_bytes=texts.num_bytes, fingerprint=tokenizer.fingerprint,
                        data_fingerprint=source.fingerprint, path=str(tokenizer_path()), argv=sys.argv)
    write_json(tokenizer_path().with_name("result.json"), record)
    return record


if __name__ == "__main__":
    main(build_parser().parse_args())
