"""How well the tokenizer compresses, and that it loses nothing: bytes per token on several kinds of text.

    python -m scripts.tok_eval                                   # built-in samples
    python -m scripts.tok_eval --data book.txt --ranks-dir DIR   # and a text, beside GPT-2's and GPT-4's tokenizers

DIR holds r50k_base.tiktoken and cl100k_base.tiktoken, as OpenAI publishes them; nothing is downloaded. More bytes
per token is better only between vocabularies of one size: GPT-2 has 50,257 ids and GPT-4 100,277.
"""

import argparse
import base64
import binascii
import itertools
from pathlib import Path

from nanochat.common import UserError, command, print0, tokenizer_path
from nanochat.dataset import read_documents
from nanochat.run import new_record, process_seconds
from nanochat.tokenizer import Tokenizer

MAX_DOCUMENTS = 10_000  # of --data: enough for two digits

# The split patterns belong to the files; both are published in tiktoken_ext/openai_public.py.
PUBLISHED = {
    "gpt2": ("r50k_base.tiktoken", r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"
                                   r"|\s++$|\s+(?!\S)|\s"),
    "gpt4": ("cl100k_base.tiktoken", r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
                                     r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"),
}

SAMPLES = {
    "english": """The ferry left at six, an hour before the fog came down over the strait. On deck a handful of
commuters drank tea and looked at where the far shore should have been. "It'll lift by noon," said the mate, who had
said so every morning that week, and who hadn't been right once. Nobody argued: the engine kept its beat.""",
    "code": """def running_mean(values, window):
    total, recent = 0.0, []
    for i, value in enumerate(values):
        recent.append(value)
        total += value
        if len(recent) > window:
            total -= recent.pop(0)
        yield total / len(recent)  # shorter at the start
""",
    "latex": r"""Let $f\colon \mathbb{R}^n \to \mathbb{R}$ be convex. Then for all $x, y$ and $\lambda \in [0, 1]$,
\begin{equation} f(\lambda x + (1 - \lambda) y) \le \lambda f(x) + (1 - \lambda) f(y), \end{equation}
and $\nabla^2 f(x) \succeq 0$ wherever the second derivative exists.""",
    "numbers": "12 + 345 = 357. 1998-07-04 23:59:59, 3.14159; 555-0134; 1,048,576 bytes; 0x7fff; 99.7% of 4096.",
    "german": "Der Zug nach Fürth fährt heute von Gleis fünf, weil die Weiche vereist ist; wir bitten um Verständnis.",
    "russian": "Вечером на кухне пахло яблоками, и бабушка рассказывала, как раньше ходили за водой к колодцу.",
    "arabic": "فتح البائع دكانه قبل الفجر، ورتب الخبز على الرفوف، ثم جلس ينتظر أول زبون في ذلك الصباح البارد.",
    "chinese": "早上的市场很热闹,卖鱼的人大声叫卖,孩子们在摊位之间跑来跑去,谁也不着急回家。",
    "korean": "비가 그치자 골목 끝 빵집에서 갓 구운 냄새가 퍼졌고, 우리는 우산을 접으며 그쪽으로 걸어갔다.",
    "odd": "naïve café 👩‍👩‍👧 🇮🇸 e\u0301 \u200b\ufeff <|bos|> <|user_start|>\t\r\n\n    \x00\x7f ﷽ ½ ²³ Ⅻ 𝔘𝔫𝔦",
}


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help=f"a text to measure as well, its first {MAX_DOCUMENTS:,} documents")
    parser.add_argument("--ranks-dir", help="folder with r50k_base.tiktoken and cl100k_base.tiktoken to compare with")
    return parser


def load_ranks(path: Path, pattern: str) -> Tokenizer:
    """A published vocabulary: one "base64 rank" per line. Our nine specials take the ids after it."""
    try:
        rows = [line.split() for line in path.read_bytes().splitlines() if line]
        ranks = sorted((int(rank), base64.b64decode(token, validate=True)) for token, rank in rows)
        return Tokenizer(pattern, tuple(token for _, token in ranks))
    except FileNotFoundError:
        raise UserError(f"--ranks-dir: no {path.name} in {path.parent}") from None
    except (OSError, ValueError, binascii.Error) as error:
        raise UserError(f"{path} is not a .tiktoken file ({error})") from None


def measure(tokenizer: Tokenizer, texts: list[str]) -> int:
    """Number of tokens; every text must come back as it was."""
    batch = tokenizer.encode_batch(texts)
    for text, ids in zip(texts, batch, strict=True):
        assert tokenizer.decode_bytes(ids).decode() == text, f"lost in the round trip: {text[:80]!r}"
    return sum(map(len, batch))


@command
def main(args):
    tokenizers = {"ours": Tokenizer.load(tokenizer_path())}
    if args.ranks_dir:
        tokenizers |= {name: load_ranks(Path(args.ranks_dir) / file, pattern)
                       for name, (file, pattern) in PUBLISHED.items()}
    samples = {name: [text] for name, text in SAMPLES.items()}
    if args.data:
        samples["--data"] = list(itertools.islice(read_documents(args.data), MAX_DOCUMENTS))

    print0(f"bytes per token {'bytes':>12}" + "".join(f"{name:>8}" for name in tokenizers))
    results = {}
    for name, texts in samples.items():
        num_bytes = sum(len(text.encode()) for text in texts)
        tokens = {who: measure(tokenizer, texts) for who, tokenizer in tokenizers.items()}
        results[name] = {"bytes": num_bytes, "tokens": tokens}
        print0(f"{name:15} {num_bytes:12,}" + "".join(f"{num_bytes / n:8.2f}" for n in tokens.values()))
    ours = tokenizers["ours"]
    return new_record("tok_eval", "tokenizer", None, status="finished", total_sec=process_seconds(),
                      vocab_size=ours.vocab_size, fingerprint=ours.fingerprint, texts=results)


if __name__ == "__main__":
    main(build_parser().parse_args())
