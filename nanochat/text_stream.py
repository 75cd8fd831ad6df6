"""Text out of token ids, one id at a time, and never a piece that has to be taken back.

A small state machine without model or thread. It knows three things: a character may need several tokens, so
bytes wait until they are valid UTF-8; a stop string may span tokens, so text that could be its beginning waits;
and the tool tokens switch between what is said, what goes to the tool and what comes back. Special tokens are
never text. Pieces are conversation parts, {"type": "text"|"python"|"python_output", "text": str}.
"""

import codecs
import itertools

SWITCHES = {"<|python_start|>": "python", "<|python_end|>": "text",
            "<|output_start|>": "python_output", "<|output_end|>": "text"}


class TextStream:
    """`push` ids, by any number at a time, then `finish` once. Stop strings count in text parts, inside one part."""

    def __init__(self, tokenizer, stop: tuple[str, ...] = ()):
        self.is_stopped = False  # set by the id that completes a stop string; nothing is emitted after it
        self.num_read = self.num_emitted = 0  # characters; what is between them waits, or belongs to the stop string
        self.type = "text"       # of what the next id says
        self._bytes_of = tokenizer.bytes_of
        self._special = {id: SWITCHES.get(name) for name, id in tokenizer.special.items()}
        self._stop = stop
        self._held = ""  # may be the beginning of a stop string
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, *ids: int) -> list[dict]:
        """The pieces that became certain with these ids: of one mostly one, none while something waits."""
        pieces = []
        for is_special, run in itertools.groupby(ids, self._special.__contains__):
            if not is_special:
                pieces += self._emit(self._utf8.decode(b"".join(map(self._bytes_of, run))))
                continue
            for id in run:
                pieces += self.finish()
                self.type = self._special[id] or self.type
        return pieces

    def finish(self) -> list[dict]:
        """What waited, now that its continuation cannot come; bytes of an incomplete character become U+FFFD."""
        pieces = self._emit(self._utf8.decode(b"", final=True), is_last=True)
        self._held = ""
        return pieces

    def _emit(self, text: str, is_last: bool = False) -> list[dict]:
        if self.is_stopped:
            return []
        self.num_read += len(text)
        if self._stop and self.type == "text":
            text = self._held + text
            cut, self.is_stopped = _find_stop(text, self._stop)
            if self.is_stopped or not is_last:
                text, self._held = text[:cut], text[cut:]
        self.num_emitted += len(text)
        return [{"type": self.type, "text": text}] if text else []


def _find_stop(text: str, stop: tuple[str, ...]) -> tuple[int, bool]:
    """(where to cut, whether a stop string is complete).

    Of several the one that ends first counts, the longest of those: then it does not matter how the text was cut
    into tokens. If none is complete, the cut is before the longest end of `text` that begins one.
    """
    found = [(at + len(s), at) for s in stop if (at := text.find(s)) >= 0]
    if found:
        return min(found)[1], True
    waiting = max((size for s in stop for size in range(1, len(s)) if text.endswith(s[:size])), default=0)
    return len(text) - waiting, False


def merge_parts(parts: list[dict], pieces: list[dict]):
    """Append pieces to parts, in place; neighbours of one type become one part."""
    for piece in pieces:
        if parts and parts[-1]["type"] == piece["type"]:
            parts[-1]["text"] += piece["text"]
        else:
            parts.append(dict(piece))
