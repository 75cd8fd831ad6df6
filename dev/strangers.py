"""What a stranger might ask: questions written by hand, not drawn from the world's grammar, graded like the others.

    python -m dev.strangers --model-tag quickstart

The held-out items of chat_eval come from the same hand that wrote the training wordings; these do not, and nothing
in training may be worded after them. Too few for narrow intervals, enough to see what the figures do not say. Three
strangers asked: stranger_first.py, stranger_second.py and, of comparing and formats too, stranger_third.py. The answers
to the first two were looked at while the world was written, those to the third only when it was, until 31f6bd0.
"""

import argparse
from collections import defaultdict

from dev import stranger_first, stranger_second, stranger_third
from nanochat.common import command, print0
from nanochat.conversation import render_prompt, visible_text
from nanochat.engine import SamplingParams, load_chat_engine
from nanochat.task_eval import wilson_interval
from nanochat.tinyworld import bare
from nanochat.tinyworld_facts import FACTS
from nanochat.tinyworld_grade import grade
from nanochat.tinyworld_talk import turns


def items(stranger) -> list[tuple[str, list[dict], str, dict]]:
    """(skill, messages, answer, meta) as tinyworld_grade.grade takes them."""
    found = [("facts", turns(q), FACTS[kind].answers[key], {"kind": kind, "key": key})
             for q, kind, key in stranger.FACTS]
    found += [("identity", turns(q), "", {"aspect": aspect}) for q, aspect in stranger.IDENTITY]
    found += [("arithmetic", turns(q), str(result), {}) for q, result in stranger.ARITHMETIC]
    found += [("letters", turns(q), answer, {"kind": kind}) for q, answer, kind in stranger.LETTERS]
    found += [("reading", turns(q), answer, {"rivals": list(rivals)}) for q, answer, rivals in stranger.READING]
    found += [("memory", turns(*before, q), answer, {"rivals": list(rivals)})
              for before, q, answer, rivals in stranger.MEMORY]
    found += [("story", turns(q), "", {"wish": {"hero": hero, "treasure": treasure, "place": place, "mood": mood,
                                                "event": ""}}) for q, hero, treasure, place, mood in stranger.STORIES]
    found += [("unknown", turns(q), "", {}) for q in stranger.UNKNOWN]
    found += [("comparing", turns(q), answer, {"kind": "pair" if rivals else "order", "rivals": list(rivals),
                                               "words": list(fitting), "yes": ""})
              for q, answer, rivals, fitting in stranger.COMPARING]
    found += [("format", turns(q), bare(FACTS[kind].answers[key]), {"kind": form, "fact": [kind, key], "start": ""})
              for q, form, kind, key in stranger.FORMATS]
    return [(skill, messages, answer, meta | {"question": messages[-1]["content"]})
            for skill, messages, answer, meta in found]


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="stage of the model (default: rl, else sft, else mid)")
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    return parser


@command
def main(args):
    engine, _, _ = load_chat_engine(args.source, args.model_tag, max_rows=64)
    strangers = {"first": stranger_first, "second": stranger_second, "third": stranger_third}
    return {name: ask(engine, stranger) for name, stranger in strangers.items()}


def ask(engine, stranger) -> dict:
    asked = items(stranger)
    answers = engine.generate([render_prompt(engine.tokenizer, {"messages": messages}) for _, messages, _, _ in asked],
                              SamplingParams(max_tokens=200, temperature=0.0))
    right = defaultdict(list)
    for (skill, messages, answer, meta), (completion,) in zip(asked, answers):
        text = visible_text(completion.parts)
        right[skill].append(grade(skill, answer, meta, text))
        if not right[skill][-1]:
            print0(f"{skill}: {messages[-1]['content']} -> {text!r}" + (f" (wanted {answer})" if answer else ""))
    return {skill: summary(skill, grades) for skill, grades in (*right.items(), ("all", sum(right.values(), [])))}


def summary(name: str, grades: list) -> dict:
    low, high = wilson_interval(sum(grades), len(grades))
    print0(f"{name:<12}{sum(grades):4.0f} of {len(grades)}, {100 * low:.0f} to {100 * high:.0f}%")
    return {"accuracy": sum(grades) / len(grades), "n": len(grades), "ci95": [low, high]}


if __name__ == "__main__":
    main(build_parser().parse_args())
