"""Turn text into token shards ahead of training, for a machine that has torch, numpy and safetensors alone.

    python -m scripts.tok_shards --data texts/ --out shards/    # then: base_train --data shards/

Training does the same by itself the first time it meets a text. `path` in the record is the folder.
"""

import argparse

from nanochat.common import command, print0, tokenizer_path
from nanochat.dataset import resolve_shards
from nanochat.run import new_record, process_seconds
from nanochat.tokenizer import Tokenizer


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help=".txt, .jsonl, .jsonl.gz, .parquet or a folder (default: the embedded world)")
    parser.add_argument("--val-data", help="text to validate on (default: what --data names, else 1%% of it, by hash)")
    parser.add_argument("--out", help="a new or empty folder (default: below the base directory, where training looks)")
    return parser


@command
def main(args):
    shards = resolve_shards(args.data, args.val_data, Tokenizer.load(tokenizer_path()), out_dir=args.out)
    for name, split in (("train", shards.train), ("val", shards.val)):
        print0(f"{name:5} {split.num_documents:12,} documents {split.num_tokens:15,} tokens "
               f"{split.text_bytes / split.num_tokens:6.2f} bytes per token")
    print0(shards.folder)
    return new_record("tok_shards", "tokenizer", None, status="finished", total_sec=process_seconds(),
                      tokens=shards.train.num_tokens, val_tokens=shards.val.num_tokens, path=str(shards.folder),
                      fingerprint=shards.fingerprint, tokenizer_fingerprint=shards.tokenizer_fingerprint)


if __name__ == "__main__":
    main(build_parser().parse_args())
