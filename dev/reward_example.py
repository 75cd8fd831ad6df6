"""A task of one's own for `python -m scripts.chat_rl --reward dev/reward_example.py`: say a word three times.

tasks/reward_file.py says what the two functions get and give.
"""

WORDS = {"train": ("apple", "river", "lantern", "house", "garden", "winter", "bread", "cloud"),
         "val": ("stone", "music")}


def prompts(split):
    return [{"prompt": f"Say the word {word} three times.", "word": word} for word in WORDS[split]]


def reward(item, answer):
    """Full marks for three times and nothing else, half for the word at all."""
    said = answer.lower().replace(",", " ").replace(".", " ").split()
    return 1.0 if said == [item["word"]] * 3 else 0.5 * (item["word"] in said)
