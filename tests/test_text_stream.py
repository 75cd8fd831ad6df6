import random

import pytest

from nanochat.text_stream import TextStream, merge_parts

SPECIAL = {name: 256 + i for i, name in enumerate(
    ("<|bos|>", "<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>",
     "<|python_start|>", "<|python_end|>", "<|output_start|>", "<|output_end|>"))}


class ByteTokenizer:
    """An id per byte; ids from 1000 stand for whole strings, as merges do."""
    special = SPECIAL

    def __init__(self, merges=()):
        self.merges = [text.encode() for text in merges]

    def bytes_of(self, id):
        return self.merges[id - 1000] if id >= 1000 else bytes([id]) if id < 256 else b""


TOKENIZER = ByteTokenizer(["ab€", "bba"])


def stream(ids, stop=(), tokenizer=ByteTokenizer()):
    """(merged parts, the pieces as they came, whether it stopped)."""
    text = TextStream(tokenizer, stop)
    pieces = [piece for id in ids for piece in text.push(id)] + text.finish()
    parts = []
    merge_parts(parts, pieces)
    return parts, pieces, text.is_stopped


def said(ids, stop=()):
    return "".join(part["text"] for part in stream(ids, stop)[0])


def random_text(rng, length):
    """Characters of 1 to 4 bytes, combining marks and controls included, no surrogates."""
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(length))


def test_random_unicode_one_byte_at_a_time_equals_the_whole_and_every_piece_is_utf8():
    rng = random.Random(0)
    for _ in range(100):
        text = random_text(rng, 20)
        parts, pieces, _ = stream(text.encode())
        assert parts == [{"type": "text", "text": text}]
        assert [piece["text"] for piece in pieces] == list(text)  # each character as soon as its last byte is there


def test_bytes_that_are_not_utf8_become_what_decoding_at_once_makes_of_them():
    rng = random.Random(1)
    for _ in range(300):
        data = bytes(rng.choice([rng.randrange(256), 0xE2, 0x82, 0xAC, 0xF0, 0x41]) for _ in range(12))
        assert said(data) == data.decode("utf-8", errors="replace")


def test_an_incomplete_character_waits_and_is_replaced_only_when_nothing_follows():
    text = TextStream(ByteTokenizer())
    euro = "€".encode()
    assert [text.push(byte) for byte in euro] == [[], [], [{"type": "text", "text": "€"}]]
    assert [text.push(byte) for byte in euro[:2]] == [[], []]
    assert text.finish() == [{"type": "text", "text": "\ufffd"}]
    assert text.finish() == []


def test_tool_tokens_switch_parts_and_specials_are_never_text():
    s = SPECIAL
    ids = [s["<|bos|>"], *b"so ", s["<|python_start|>"], *b"1+1", s["<|python_end|>"], s["<|output_start|>"], *b"2",
           s["<|output_end|>"], *b"two", s["<|assistant_end|>"], s["<|user_start|>"]]
    assert stream(ids)[0] == [{"type": "text", "text": "so "}, {"type": "python", "text": "1+1"},
                              {"type": "python_output", "text": "2"}, {"type": "text", "text": "two"}]


@pytest.mark.parametrize("stop", [(), ("ab", "b€")])
def test_ids_pushed_together_say_what_they_say_one_by_one(stop):
    rng = random.Random(2)
    for _ in range(300):
        ids = [rng.choice([*SPECIAL.values(), *b"aab", *"€".encode(), 0xFF, 1000, 1001]) for _ in range(20)]
        expected, _, is_stopped = stream(ids, stop, TOKENIZER)
        text, parts, rest = TextStream(TOKENIZER, stop), [], ids
        while rest:
            size = rng.randint(1, 20)
            merge_parts(parts, text.push(*rest[:size]))
            rest = rest[size:]
        merge_parts(parts, text.finish())
        assert (parts, text.is_stopped) == (expected, is_stopped)


def test_a_character_cut_by_a_special_token_does_not_join_across_it():
    euro = "€".encode()
    parts, _, _ = stream([*euro[:1], SPECIAL["<|python_start|>"], *euro[1:]])
    assert parts == [{"type": "text", "text": "\ufffd"}, {"type": "python", "text": "\ufffd\ufffd"}]


@pytest.mark.parametrize("text, stop, expected", [
    ("hello END there", ("END",), "hello "),
    ("hello EN", ("END",), "hello EN"),               # the beginning of a stop string at the very end is text
    ("hello ENE", ("END",), "hello ENE"),
    ("EENEEND!", ("END",), "EENE"),
    ("aab", ("ab",), "a"),
    ("aaab", ("aab",), "a"),
    ("abcX", ("abcd", "bc"), "a"),                    # the one that ends first
    ("xabc", ("bc", "abc"), "x"),                     # of two that end together the longer
    ("abab", ("abac", "b"), "a"),
    ("€uro", ("€u",), ""),
    ("", ("x",), ""),
])
def test_stop_strings_are_cut_wherever_the_tokens_fall(text, stop, expected):
    assert said(text.encode(), stop) == expected
    whole = ByteTokenizer([text])
    parts, _, is_stopped = stream([1000], stop, whole)
    assert "".join(part["text"] for part in parts) == expected
    assert is_stopped == any(s in text for s in stop)


def test_random_stop_strings_match_a_search_of_the_whole_text():
    rng = random.Random(2)
    for _ in range(1000):
        text = "".join(rng.choice("ab") for _ in range(rng.randrange(12)))
        stop = tuple("".join(rng.choice("ab") for _ in range(rng.randrange(1, 5))) for _ in range(rng.randrange(1, 4)))
        ends = [(text.find(s) + len(s), text.find(s)) for s in stop if s in text]
        pieces = [text[i:j] for i, j in random_cuts(rng, len(text))]
        parts, emitted, is_stopped = stream(range(1000, 1000 + len(pieces)), stop, ByteTokenizer(pieces))
        assert "".join(piece["text"] for piece in emitted) == (text[:min(ends)[1]] if ends else text)
        assert is_stopped == bool(ends)


def random_cuts(rng, length):
    cuts = sorted({0, length, *(rng.randrange(length + 1) for _ in range(4))})
    return list(zip(cuts, cuts[1:]))


def test_nothing_is_emitted_after_a_stop_string_and_tools_may_contain_it():
    s = SPECIAL
    ids = [s["<|python_start|>"], *b"END", s["<|python_end|>"], *b"a END b", s["<|python_start|>"], *b"1"]
    parts, _, is_stopped = stream(ids, ("END",))
    assert parts == [{"type": "python", "text": "END"}, {"type": "text", "text": "a "}] and is_stopped


def test_held_text_is_released_before_a_tool_call():
    parts, _, _ = stream([*b"a E", SPECIAL["<|python_start|>"], *b"1"], ("END",))
    assert parts == [{"type": "text", "text": "a E"}, {"type": "python", "text": "1"}]


def test_merging_leaves_the_pieces_alone():
    piece = {"type": "text", "text": "a"}
    parts = []
    merge_parts(parts, [piece, {"type": "text", "text": "b"}])
    assert parts == [{"type": "text", "text": "ab"}] and piece["text"] == "a"
