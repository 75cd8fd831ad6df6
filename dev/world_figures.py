"""Figures of the embedded world that are no skill: how rich its prose is, and how much a model's stories repeat it.

    python -m dev.world_figures                             # 1 MB of prose, and how often each fact is asked
    python -m dev.world_figures --stories 200 --model-tag quickstart

Stories are sampled at temperature 0.8 for held-out wishes. One that shares twelve words in a row with a tale of the
training text or of a training conversation counts as quoting it.
"""

import argparse
import re
import shutil
import subprocess
from collections import Counter

from nanochat.common import UserError, command, print0
from nanochat.conversation import render_prompt, visible_text
from nanochat.tinyworld_chats import conversations
from nanochat.tinyworld_facts import FACTS, fact_questions
from nanochat.tinyworld_grade import sentences
from nanochat.tinyworld_prose import documents
from tasks.tinyworld import TinyWorld

PROSE_CHARS = 1_000_000
NUM_WORDS_QUOTED = 12


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=0, help="stories to sample from a model (default 0: none)")
    parser.add_argument("--source", help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    parser.add_argument("--temperature", type=float, default=0.8, help="of sampling (default 0.8)")
    parser.add_argument("--num-chats", type=int, default=100_000,
                        help="training conversations whose tales are compared (default 100000)")
    return parser


@command
def main(args):
    record = {"prose": prose_figures(), "facts": fact_figures()}
    if args.stories:
        record["stories"] = story_figures(args)
    for part, figures in record.items():
        print0(f"{part}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    return record


def word_spans(text: str, length: int) -> list[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9']+", text.lower())
    return [tuple(words[i:i + length]) for i in range(len(words) - length + 1)]


def prose_figures() -> dict:
    text = ""
    for document in documents("train", PROSE_CHARS):
        text += document + "\n"
        if len(text) > PROSE_CHARS:
            break
    text = text[:PROSE_CHARS]
    spans = word_spans(text, 4)
    figures = {"distinct_words": len(set(re.findall(r"(?<![A-Za-z])[a-z]+", text))),  # names have a capital
               "distinct_4gram_share": round(len(set(spans)) / len(spans), 4)}
    if shutil.which("zstd"):
        packed = subprocess.run(["zstd", "-19", "-c"], input=text.encode(), capture_output=True, check=True).stdout
        figures["zstd19_bits_per_byte"] = round(8 * len(packed) / len(text.encode()), 3)
    return figures


def fact_figures() -> dict:
    asked = Counter((kind, key) for is_own in (False, True) for kind, key, _ in fact_questions("train", is_own))
    facts = [(kind, key) for kind, fact_kind in FACTS.items() for key in fact_kind.answers]
    return {"num_facts": len(facts), "fewest_training_questions": min(asked[fact] for fact in facts)}


def story_figures(args) -> dict:
    from nanochat.engine import SamplingParams, load_chat_engine
    engine, _, _ = load_chat_engine(args.source, args.model_tag, None, None, None, max_rows=64)
    task = TinyWorld("story", "test", args.stories)
    if len(task) < args.stories:
        raise UserError(f"--stories {args.stories}: there are {len(task)} held-out wishes")
    prompts = [render_prompt(engine.tokenizer, task[i].conversation) for i in range(args.stories)]
    params = [SamplingParams(max_tokens=256, temperature=args.temperature, seed=i) for i in range(args.stories)]
    stories = [group[0].text for group in engine.generate(prompts, params)]
    trained = training_spans(args.num_chats)
    quoting = sum(any(span in trained for span in word_spans(story, NUM_WORDS_QUOTED)) for story in stories)
    first = {sentences(story)[0] for story in stories if sentences(story)}
    return {"sampled": len(stories), "temperature": args.temperature,
            "distinct_first_sentences": len(first) / len(stories), "share_quoting_12_words": quoting / len(stories)}


def training_spans(num_chats: int) -> set[tuple[str, ...]]:
    """Of all tales told in training conversations, of mid and SFT seeds, and of all prose."""
    texts = [visible_text(chat["messages"][-1]["content"]) for seed in (0, 1)
             for chat in conversations("train", num_chats, seed) if chat["source"] == "tinyworld/story"]
    return {span for text in (*texts, *documents("train", 6000)) for span in word_spans(text, NUM_WORDS_QUOTED)}


if __name__ == "__main__":
    main(build_parser().parse_args())
