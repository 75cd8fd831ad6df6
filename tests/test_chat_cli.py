"""The terminal chat over a scripted engine: what lands on stdout, what on stderr, and what stays in the history."""

import io
import json
import sys

import pytest
from fake_engine import INFO, FakeEngine, FakeTokenizer, call, deltas

from scripts import chat_cli

ANSWER = deltas("So: ", *call("6*7", "42"), "It is 42, é🦊.")


@pytest.fixture
def chat(monkeypatch, capsys):
    """chat(script, *argv, stdin=...) runs the command and returns (exit status, stdout, stderr, engine)."""
    def run(script, *argv, stdin=""):
        engine = FakeEngine(script)
        info = {**INFO, "checkpoint": "somewhere", "weights_sha256": "0" * 64}
        monkeypatch.setattr(chat_cli, "load_chat_engine", lambda *args, **kwargs: (engine, FakeTokenizer(), info))
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
        try:
            status = chat_cli.main(chat_cli.build_parser().parse_args(list(argv))) and 0
        except SystemExit as leaving:
            status = leaving.code
        return (status or 0, *capsys.readouterr(), engine)
    return run


def said(engine) -> list[str]:
    """The prompts as text, specials as |."""
    return ["".join(chr(i) if i < 128 else "|" if i > 255 else "?" for i in prompt) for prompt in engine.prompts]


def test_one_answer_stands_alone_on_stdout(chat):
    settings = "--temperature 0 --max-tokens 9 --seed -1".split()
    status, out, err, engine = chat(ANSWER, "-p", "What is 6*7?", *settings)
    assert (status, out) == (0, "So: It is 42, é🦊.\n")
    assert "[6*7 = 42]" in err
    assert said(engine) == ["||What is 6*7?||"]
    assert (engine.params[0].temperature, engine.params[0].max_tokens, engine.params[0].seed) == (0, 9, -1)


def test_one_answer_as_a_record(chat):
    status, out, _, _ = chat(ANSWER, "-p", "What is 6*7?", "--json")
    record = json.loads(out)  # the record and nothing else
    assert status == 0 and record["script"] == "chat_cli" and (record["stage"], record["tag"]) == ("rl", "d4")
    assert record["answer"] == "So: It is 42, é🦊." and record["finish_reason"] == "stop" and record["num_tokens"] == 5
    assert record["parts"][1:3] == [{"type": "python", "text": "6*7"}, {"type": "python_output", "text": "42"}]


def test_a_piped_chat_keeps_its_history_until_new(chat):
    script = lambda prompt: deltas("Hello." if "name" in prompt[-12:] else "Sam.")  # noqa: E731
    status, out, _, engine = chat(script, stdin="My name.\n\nWho am I?\r\n/new\nWho am I?\n/quit\nnever asked\n")
    assert (status, out) == (0, "Hello.\nSam.\nSam.\n")
    assert said(engine) == ["||My name.||", "||My name.||Hello.||Who am I?||", "||Who am I?||"]


def test_tool_calls_are_shown_in_place_and_stay_in_the_history(chat):
    _, out, _, engine = chat(ANSWER, stdin="What is 6*7?\nAgain?\n")
    assert out == "So: [6*7 = 42] It is 42, é🦊.\n" * 2
    assert said(engine)[1] == "||What is 6*7?||So: |6*7||42|It is 42, ??????.||Again?||"


def test_calls_without_output_and_outputs_at_the_end_are_closed(chat):
    unfinished = deltas({"type": "python", "text": "6*"}, finish_reason="length")
    assert chat(unfinished, stdin="a\n")[1] == "[6*] \n"
    assert chat(deltas(*call("6*7", "42")), stdin="a\n")[1] == "[6*7 = 42] \n"
    two = deltas(*call("1+1", "2"), *call("2+2", "4"), "done")
    assert chat(two, stdin="a\n")[1] == "[1+1 = 2] [2+2 = 4] done\n"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_multi_byte_text_comes_out_as_utf8_whatever_the_locale(chat, monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert chat(deltas("é", "🦊", "日本"), "-p", "你好")[0] == 0
    out.flush()
    assert out.buffer.getvalue() == "é🦊日本\n".encode()


def test_stray_bytes_of_the_input_do_not_end_the_chat(chat, monkeypatch):
    engine = FakeEngine(ANSWER)
    monkeypatch.setattr(chat_cli, "load_chat_engine", lambda *args, **kwargs: (engine, FakeTokenizer(), INFO))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\nna\xc3\xafve\n"), encoding="latin-1"))
    chat_cli.main(chat_cli.build_parser().parse_args([]))
    user_texts = [bytes(i for i in prompt if i < 256).decode() for prompt in engine.prompts]
    assert user_texts[0] == "caf\ufffd" and user_texts[1].endswith("naïve")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_dim_tool_calls_and_no_control_characters(chat, monkeypatch):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    chat(deltas("ok\x1b]0;title\x07\x9b2J\n\ttab", *call("6*7", "4\x1b[2J2")), stdin="a\n")
    text = out.getvalue()
    assert "ok\ufffd]0;title\ufffd\ufffd2J\n\ttab" in text
    assert text.replace("\033[2m", "").replace("\033[0m", "").count("\033") == 0
    assert "\033[2m[\033[0m" in text
    monkeypatch.setenv("NO_COLOR", "1")
    out.truncate(0)
    chat(ANSWER, stdin="a\n")
    assert "\033" not in out.getvalue()


def interrupted(prompt):
    """Ctrl-C after the second piece of the first answer; later answers are whole."""
    yield from deltas("One ", "two ")[:2]
    if "again" not in prompt:
        raise KeyboardInterrupt
    yield deltas("", "")[-1]


def test_ctrl_c_ends_an_answer_and_keeps_what_was_said(chat):
    status, out, _, engine = chat(interrupted, stdin="go\nagain\n")
    assert (status, out) == (0, "One two \nOne two \n")
    assert said(engine)[1] == "||go||One two ||again||"


def test_ctrl_c_with_a_single_question_has_the_status_of_an_interrupt(chat):
    assert chat(interrupted, "-p", "go")[:2] == (130, "One two \n")


def test_at_a_terminal_ctrl_c_at_the_prompt_stays_and_ctrl_d_leaves(chat, monkeypatch):
    inputs = iter([KeyboardInterrupt, "go", EOFError])

    def fake_input(prompt):
        value = next(inputs)
        if isinstance(value, str):
            return value
        raise value

    monkeypatch.setattr("builtins.input", fake_input)
    status, out, err, engine = chat(ANSWER, stdin=Terminal())
    assert status == 0 and said(engine) == ["||go||"] and "Ctrl-D" in err


def test_an_engine_that_fails_is_one_line(chat):
    failing = deltas("Ha", finish_reason="error", error="out of memory")
    status, out, err, _ = chat(failing, "-p", "go")
    assert (status, out, err) == (1, "Ha\n", "error: out of memory\n")
    status, out, err, engine = chat(failing, stdin="go\nonce more\n")
    assert status == 0 and err.count("error: out of memory") == 2


def test_a_message_that_is_too_long_leaves_the_chat_usable(chat):
    status, out, err, engine = chat(ANSWER, stdin="x" * 3000 + "\nshort\n")
    assert status == 0 and err.count("error: ") == 1 and said(engine) == ["||short||"]


@pytest.mark.parametrize("argv", [
    ["--json"], ["-p", ""], ["-p", " \n"], ["-p", "x" * 3000], ["-p", "a", "--temperature", "-1"],
    ["-p", "a", "--temperature", "nan"], ["-p", "a", "--top-p", "0"], ["--top-k", "-1"], ["--max-tokens", "0"]])
def test_mistakes_are_one_line_and_exit_2(chat, argv):
    status, out, err, engine = chat(ANSWER, *argv)
    assert (status, out, engine.prompts) == (2, "", [])
    assert err.startswith("error: ") and err.count("\n") == 1


def test_an_unknown_model_is_one_line_and_exit_2(capsys):
    with pytest.raises(SystemExit) as leaving:
        chat_cli.main(chat_cli.build_parser().parse_args(["--model-tag", "nope", "-p", "hi"]))
    out, err = capsys.readouterr()
    assert (leaving.value.code, out) == (2, "") and err.startswith("error: ") and "nope" in err
