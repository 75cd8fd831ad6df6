"""Outside truths: ids and masks worked out by hand from the grammar, properties over random chats, real chat files."""

import gzip
import json
import random

import pytest

from nanochat.common import UserError
from nanochat.conversation import fit_context, read_chats, render, render_prompt, validate, visible_text
from nanochat.tokenizer import SPECIAL_TOKENS, Tokenizer

TOK = Tokenizer.train([], 265)  # no merges: every byte is its own id, so ids can be written down by hand
BOS, US, UE, AS, AE, PS, PE, OS, OE = (TOK.special[name] for name in SPECIAL_TOKENS)


def user(text): return {"role": "user", "content": text}
def assistant(content): return {"role": "assistant", "content": content}
def system(text): return {"role": "system", "content": text}
def part(type, text): return {"type": type, "text": text}
def chat(*messages): return {"messages": list(messages)}


TOOL_TURN = assistant([part("text", "so "), part("python", "1+2"), part("python_output", "3"), part("text", "3!")])


def random_chat(rng: random.Random) -> dict:
    """Up to six turns, with or without system, tools and a trailing user turn."""
    text = lambda: "".join(rng.choices("ab é\n東<|bos|>", k=rng.randint(1, 12))) + "x"
    messages = [system(text())] if rng.random() < 0.5 else []
    for number in range(rng.randint(1, 6)):
        tool = [part("text", text()), part("python", text()), part("python_output", rng.choice(["", text()]))]
        messages.append(user(text()) if number % 2 == 0 else assistant(text() if rng.random() < 0.5 else tool))
    return chat(*messages)


# -----------------------------------------------------------------------------
# Ids and mask

def test_a_chat_worked_by_hand():
    ids, mask = render(TOK, chat(user("hi"), assistant("yo"), user("?"), assistant("k")))
    assert ids == [BOS, US, *b"hi", UE, AS, *b"yo", AE, US, *b"?", UE, AS, *b"k", AE]
    assert mask == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]


def test_a_tool_call_worked_by_hand():
    ids, mask = render(TOK, chat(user("q"), TOOL_TURN))
    assert ids == [BOS, US, *b"q", UE, AS, *b"so ", PS, *b"1+2", PE, OS, *b"3", OE, *b"3!", AE]
    assert mask == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_system_stands_inside_the_first_user_turn():
    ids, mask = render(TOK, chat(system("S"), user("u"), assistant("a")))
    assert ids == [BOS, US, *b"S\n\n", *b"u", UE, AS, *b"a", AE] and mask == [0] * 8 + [1, 1]


def test_a_trailing_user_turn_has_no_target():
    ids, mask = render(TOK, chat(user("u"), assistant("a"), user("v")))
    assert ids[-3:] == [US, ord("v"), UE] and mask[-3:] == [0, 0, 0]
    assert sum(render(TOK, chat(user("u")))[1]) == 0


def test_a_prompt_is_the_render_and_assistant_start():
    conversation = chat(system("S"), user("u"))
    assert render_prompt(TOK, conversation) == render(TOK, conversation)[0] + [AS]
    with pytest.raises(UserError, match="last message must be from the user"):
        render_prompt(TOK, chat(user("u"), assistant("a")))


def test_an_answered_prompt_is_a_prefix_of_the_rendered_chat():
    rng = random.Random(0)
    for _ in range(100):
        conversation = random_chat(rng)
        if conversation["messages"][-1]["role"] == "user":
            answered = chat(*conversation["messages"], TOOL_TURN)
            prompt = render_prompt(TOK, conversation)
            assert render(TOK, answered)[0][:len(prompt)] == prompt


def test_specials_come_from_the_grammar_and_never_from_the_text():
    literals = "".join(SPECIAL_TOKENS)
    plain, typed = (render(TOK, chat(system(t), user(t), assistant(t), user(t), TOOL_TURN))[0] for t in ("x", literals))
    assert [i for i in typed if i >= BOS] == [i for i in plain if i >= BOS]


def test_the_mask_covers_exactly_what_the_assistant_says():
    rng = random.Random(1)
    for _ in range(200):
        conversation = random_chat(rng)
        ids, mask = render(TOK, conversation)
        said = ""
        for message in conversation["messages"]:
            if message["role"] == "assistant":
                content = message["content"]
                parts = [part("text", content)] if isinstance(content, str) else content
                frames = {"text": "{}", "python": "<|python_start|>{}<|python_end|>", "python_output": ""}
                said += "".join(frames[p["type"]].format(p["text"]) for p in parts)
                said += "<|assistant_end|>"
        assert len(ids) == len(mask) and set(mask) <= {0, 1}
        assert TOK.decode(i for i, m in zip(ids, mask) if m) == said


def test_visible_text_leaves_tools_out():
    assert visible_text("plain") == "plain" and visible_text(TOOL_TURN["content"]) == "so 3!"


# -----------------------------------------------------------------------------
# What is no conversation

@pytest.mark.parametrize("conversation, message", [
    ({}, "not a conversation"),
    ("text", "not a conversation"),
    ({"messages": []}, "not a conversation"),
    ({"conversations": [{"from": "human"}]}, r"not a conversation.*got \{'conversations'"),
    (chat("hello"), "message 1"),
    (chat({"role": "human", "content": "x"}), "message 1"),
    (chat({"role": ["user"], "content": "x"}), "message 1"),
    (chat({"content": "x"}), "message 1"),
    (chat({"role": "user"}), r"message 1 \(user\): content must be text"),
    (chat(user("")), r"message 1 \(user\): empty content"),
    (chat(user(" \n")), "empty content"),
    (chat(user(7)), "got 7"),
    (chat(user([part("text", "x")])), "parts are for the assistant"),
    (chat(system([part("text", "x")]), user("x")), "parts are for the assistant"),
    (chat(assistant("x")), "message 1 is from assistant: expected user"),
    (chat(user("a"), user("b")), "message 2 is from user: expected assistant"),
    (chat(user("a"), assistant("b"), assistant("c")), "message 3 is from assistant: expected user"),
    (chat(system("s"), assistant("a")), "message 2 is from assistant: expected user"),
    (chat(user("a"), system("s")), "message 2 is from system"),
    (chat(system("s"), system("s"), user("a")), "message 2 is from system"),
    (chat(system("s")), "system message alone"),
    (chat(user("a"), assistant([])), r"message 2 \(assistant\): empty content"),
    (chat(user("a"), assistant([part("image", "x")])), "python_output"),
    (chat(user("a"), assistant(["x"])), "got 'x'"),
    (chat(user("a"), assistant([{"type": "text"}])), "message 2"),
    (chat(user("a"), assistant([part("text", "")])), "empty text part"),
    (chat(user("a"), assistant([part("python", ""), part("python_output", "")])), "empty python part"),
    (chat(user("a"), assistant([part("python", "1")])), "needs its python_output"),
    (chat(user("a"), assistant([part("python_output", "1")])), "needs its python_output"),
    (chat(user("a"), assistant([part("python", "1"), part("text", "x"), part("python_output", "1")])), "right after"),
])
def test_what_is_no_conversation_is_refused_by_everyone_who_takes_one(conversation, message):
    for refuse, *args in ((validate,), (render, TOK), (render_prompt, TOK), (lambda c: fit_context(TOK, c, 99),)):
        with pytest.raises(UserError, match=message) as error:
            refuse(*args, conversation)
        assert "\n" not in str(error.value)


def test_a_tool_may_print_nothing_and_be_called_twice_in_a_row():
    call = [part("python", "f()"), part("python_output", "")]
    ids, mask = render(TOK, chat(user("u"), assistant(call + call)))
    assert ids[5:-1] == [PS, *b"f()", PE, OS, OE] * 2 and mask[5:-1] == [1] * 5 + [0, 0] + [1] * 5 + [0, 0]


# -----------------------------------------------------------------------------
# Reading

def write_rows(path, *rows):
    data = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["chats.jsonl", "chats.jsonl.gz"])
def test_chats_are_read_with_or_without_the_outer_object(tmp_path, name):
    full = {**chat(system("s"), user("u"), TOOL_TURN), "id": "7", "source": "me"}
    file = write_rows(tmp_path / name, "\ufeff", full, "\n", [user("u"), assistant("a")])
    assert list(read_chats(file)) == [full, chat(user("u"), assistant("a"))]


@pytest.mark.parametrize("row, message", [
    ("{not json}\n", "not JSON"),
    ("[" * 100_000 + "\n", "not JSON"),
    ("9" * 5000 + "\n", "not JSON"),
    ({"text": "a document"}, "not a conversation"),
    ([user("a"), user("b")], "message 2 is from user"),
])
def test_a_row_that_is_no_conversation_is_named_by_file_and_line(tmp_path, row, message):
    file = write_rows(tmp_path / "chats.jsonl", [user("u"), assistant("a")], "\n", row)
    with pytest.raises(UserError) as error:
        list(read_chats(file))
    assert str(error.value).startswith(f"{file}:3: ") and message in str(error.value) and "\n" not in str(error.value)


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path):
    rows = [b'[{"role": "user", "content": "ok"}]\n', b'[{"role": "user", "content": "\xe9"}]\n']
    (tmp_path / "chats.jsonl").write_bytes(b"".join(rows))
    with pytest.raises(UserError, match=r"chats.jsonl:2: not UTF-8"):
        list(read_chats(tmp_path / "chats.jsonl"))


def test_a_cut_off_gzip_file_is_one_line(tmp_path):
    file = write_rows(tmp_path / "chats.jsonl.gz", *[[user(str(i)), assistant("a" * i)] for i in range(1, 2000)])
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UserError, match="cannot be read after line"):
        list(read_chats(file))


@pytest.mark.parametrize("name, content, message", [
    ("missing.jsonl", None, "no such file"),
    ("empty.jsonl", "", "no conversations"),
    ("chats.csv", "x", ".jsonl or .jsonl.gz"),
])
def test_a_file_without_conversations_is_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        list(read_chats(tmp_path / name))


@pytest.mark.parametrize("name, num_chats, num_without_answer", [
    ("taskmaster4.jsonl", 1368, 26), ("sgd.jsonl", 384, 0), ("oasst_en_100.jsonl", 100, 0)])
def test_real_chat_files_are_readable_row_by_row(shared_data, name, num_chats, num_without_answer):
    chats = list(read_chats(shared_data / "chat" / name))
    assert len(chats) == num_chats
    assert sum(c["messages"][-1]["role"] == "user" for c in chats) == num_without_answer  # trailing user turns
    for conversation in chats[:50]:
        ids, mask = render(TOK, conversation)
        said = "".join(m["content"] for m in conversation["messages"] if m["role"] == "assistant")
        assert TOK.decode_bytes(i for i, m in zip(ids, mask) if m).decode() == said


# -----------------------------------------------------------------------------
# Fitting a context

def test_the_oldest_pairs_go_and_the_system_message_stays():
    turns = [user("11"), assistant("22"), user("33"), assistant("44"), user("55")]
    conversation = {**chat(system("S"), *turns), "id": "7"}
    # bos, "S\n\n" and assistant_start make 5; each turn is its 2 bytes and 2 specials, so the whole is 5 + 5 * 4
    assert len(render_prompt(TOK, conversation)) == 25
    assert fit_context(TOK, conversation, 25) == conversation
    assert fit_context(TOK, conversation, 24) == {**chat(system("S"), *turns[2:]), "id": "7"}
    assert fit_context(TOK, conversation, 17) == {**chat(system("S"), *turns[2:]), "id": "7"}
    assert fit_context(TOK, conversation, 16) == {**chat(system("S"), *turns[4:]), "id": "7"}
    assert fit_context(TOK, conversation, 9) == {**chat(system("S"), *turns[4:]), "id": "7"}
    with pytest.raises(UserError, match="last turn alone is 9 tokens and at most 8 fit"):
        fit_context(TOK, conversation, 8)


def test_what_fits_keeps_as_much_as_possible_and_is_a_suffix():
    rng, tok = random.Random(2), Tokenizer.train(["ab ab é 東 x x x <|bos|>"] * 3, 280)
    length = lambda c: len((render_prompt if c["messages"][-1]["role"] == "user" else lambda *a: render(*a)[0])(tok, c))
    num_cut = num_refused = 0
    for _ in range(300):
        conversation, max_tokens = random_chat(rng), rng.randint(5, 120)
        messages = conversation["messages"]
        first = messages[0]["role"] == "system"
        suffixes = [chat(*messages[:first], *messages[i:]) for i in range(first, len(messages), 2)]
        fitting = [c for c in suffixes if length(c) <= max_tokens]
        if fitting:
            assert fit_context(tok, conversation, max_tokens) == fitting[0]
            num_cut += fitting[0] != conversation
        else:
            num_refused += 1
            with pytest.raises(UserError, match=f"at most {max_tokens} fit"):
                fit_context(tok, conversation, max_tokens)
    assert num_cut > 20 and num_refused > 20


def test_a_long_chat_is_cut_without_rendering_it_again_for_every_pair():
    calls = []

    class Counting:
        bos_id, special = TOK.bos_id, TOK.special

        def encode(self, text):
            calls.append(text)
            return TOK.encode(text)

    turns = [user("a") if i % 2 == 0 else assistant("b") for i in range(2001)]
    assert len(fit_context(Counting(), chat(system("s"), *turns), 20)["messages"]) == 6
    assert len(calls) == 2002
