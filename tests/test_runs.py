"""The two commands, without their downloads: flags, the choice of Python and torch, the lock, the order of stages."""

import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash cat cksum cut dirname env find grep id mkdir mktemp rm sed sort touch tr uname").split()

# Stands where .venv/bin/python stands: writes down what it is asked and leaves the files a stage would leave.
FAKE_PYTHON = f"""#!{sys.executable} -S
import os, sys
from pathlib import Path
words = sys.argv[1:]
if words[0] == "-c":
    if "metadata" in words[1]:
        raise SystemExit(1)  # no torch yet
    print(os.environ.get("FAKE_VERSION", "3.11"))
    raise SystemExit
with open("calls.txt", "a") as f:
    print(*words, file=f)
name = words[1].removeprefix("scripts.")
if words[1] == "pip":
    print(os.environ["FAKE_INDEX_VERSIONS"] if "--index-url" in words else os.environ["FAKE_VERSIONS"])
    raise SystemExit
if name == os.environ.get("FAKE_FAILURE"):
    raise SystemExit(3)
flag = dict(zip(words, words[1:]))
files = {{"tok_train": "tokenizer/tokenizer.json", "report": "report/report.json",
         "base_train": "runs/base/TAG/result.json", "base_eval": "runs/base/TAG/base_eval.json",
         "mid_train": "runs/mid/TAG/result.json", "chat_sft": f"runs/{{flag.get('--stage', 'sft')}}/TAG/result.json",
         "chat_rl": "runs/rl/TAG/result.json", "chat_eval": f"runs/{{flag.get('--source')}}/TAG/chat_eval.json"}}
if name in files:
    path = Path(os.environ["NANOCHAT_BASE_DIR"], files[name].replace("TAG", flag.get("--model-tag", "")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('"' + flag.get("--model-tag", "") + '"')
"""


def executable(path: Path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def house(tmp_path):
    """A copy of what the commands read, without .venv, and a PATH that holds a few tools and no Python."""
    root = tmp_path / "a house"
    for name in ("runs", ".ci"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    for tool in TOOLS:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return root


def run(house, *words, **env):
    env = {"PATH": str(house.parent / "bin"), "HOME": str(house.parent), "QUICKSTART_SERVE": "0",
           "NANOCHAT_BASE_DIR": str(house.parent / "base"), **env}
    return subprocess.run(words, cwd=house.parent, env=env, capture_output=True, text=True, timeout=60)


def in_setup(house, code, **env):
    """Run bash code among the functions of setup.sh."""
    return run(house, "bash", "-c", f"source '{house}/runs/setup.sh'; {code}", **env)


def make_ready(house):
    executable(house / ".venv" / "bin" / "python", FAKE_PYTHON)
    done = in_setup(house, "fingerprint > .venv/setup-done")
    assert done.returncode == 0, done.stderr


def quickstart(house, *flags, **env):
    result = run(house, "bash", str(house / "runs" / "quickstart.sh"), *flags, **env)
    calls = house / "calls.txt"
    commands = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return result, [line.removeprefix("-m scripts.") for line in commands]


def names(commands):
    return [line.split()[0] for line in commands]


# -----------------------------------------------------------------------------
# The lock

def read_lock():
    """[(requirement, number of hashes)]"""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(Requirement(line.split("--hash")[0]), len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
            for line in lines]


def wanted():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    return [Requirement(line) for line in lines]


def test_every_locked_requirement_is_one_version_with_hashes():
    lock = read_lock()
    assert len(lock) > 50
    for requirement, num_hashes in lock:
        assert num_hashes > 0 and re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement


def test_the_lock_names_no_host_and_nothing_that_depends_on_the_accelerator():
    assert "://" not in (ROOT / "requirements.lock").read_text()
    locked = {requirement.name for requirement, _ in read_lock()}
    assert not [name for name in locked if re.match(r"torch|nvidia|triton|cuda", name)]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_lock_holds_one_version_of_each_dependency_within_its_bounds(python, platform):
    here = {"python_version": python, "python_full_version": f"{python}.4", "sys_platform": platform,
            "platform_machine": "arm64" if platform == "darwin" else "x86_64", "implementation_name": "cpython"}
    pins = {}
    for requirement, _ in read_lock():
        if requirement.marker is None or Marker(str(requirement.marker)).evaluate(here):
            assert requirement.name not in pins
            pins[requirement.name] = Version(str(requirement.specifier).removeprefix("=="))
    for requirement in wanted():
        assert requirement.name == "torch" or pins[requirement.name] in requirement.specifier
    # torch itself is installed beside the lock with --no-deps, so what it imports has to be there.
    assert pins.keys() >= {"filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec"}


def test_setup_looks_for_the_torch_series_that_pyproject_allows(house):
    series = in_setup(house, "echo $TORCH_SERIES").stdout.split()
    allowed = next(requirement for requirement in wanted() if requirement.name == "torch").specifier
    assert series == [f"2.{minor}" for minor in range(40, -1, -1) if Version(f"2.{minor}.0") in allowed]
    assert in_setup(house, 'echo "$TORCH"').stdout.strip().startswith("torch>=2.")


# -----------------------------------------------------------------------------
# Which Python, which torch

def fake_interpreter(house, name, version):
    executable(house.parent / "bin" / name, f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 127\n")


@pytest.mark.parametrize("installed, chosen", [
    ({"python3": "3.12", "python3.9": "3.9"}, "python3"),
    ({"python3": "3.10", "python3.13": "3.13"}, "python3.13"),
    ({"python3": "3.11", "python3.11": "3.11", "python3.13": "3.13"}, "python3.11"),
    ({"python3.11": None, "python3.12": "3.12"}, "python3.12"),  # pyenv's stand-in for a version that is not installed
    ({"python3": "3.14", "python": "3.11"}, "python"),
])
def test_the_first_python_in_range_is_chosen(house, installed, chosen):
    for name, version in installed.items():
        fake_interpreter(house, name, version)
    assert in_setup(house, "choose_python").stdout.strip() == str(house.parent / "bin" / chosen)


@pytest.mark.parametrize("env", [{}, {"PYTHON": "python3"}, {"PYTHON": "/no/such/python"}])
def test_no_python_in_range_is_one_line_and_exit_code_2(house, env):
    fake_interpreter(house, "python3", "3.10")
    result = run(house, "bash", str(house / "runs" / "test.sh"), **env)
    assert result.returncode == 2 and re.fullmatch(r"error: .*3\.11.*\n", result.stderr)
    assert not (house / ".venv").exists()


def test_a_python_without_venv_names_the_debian_package(house):
    executable(house.parent / "bin" / "python3", '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\necho 3.12\n')
    result = run(house, "bash", str(house / "runs" / "setup.sh"))
    assert result.returncode == 2 and "apt install python3.12-venv" in result.stderr.splitlines()[-1]


PYPI = "Available versions: 2.15.0, 2.14.1, 2.13.0, 2.12.1"
CPU_INDEX = "--index-url https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize("system, has_nvidia, configured, pytorch_index, installed", [
    ("Linux", False, "2.14.1+cpu, 2.13.0+cpu, 2.13.0, 2.12.1+cpu", "2.13.0+cpu", "--no-deps torch==2.13.0+cpu"),
    ("Linux", False, "2.15.0, 2.13.0, 2.12.1+cpu", "2.13.0+cpu", "--no-deps torch==2.12.1+cpu"),
    ("Linux", False, PYPI, "2.14.1+cpu, 2.13.0+cpu", f"--no-deps {CPU_INDEX} torch==2.13.0+cpu"),
    ("Linux", False, PYPI + ", 2.10.0+cpu", "", "torch>=2.11,<2.14"),
    ("Linux", True, "2.13.0+cpu", "2.13.0+cpu", "torch>=2.11,<2.14"),
    ("Darwin", False, PYPI, "2.13.0+cpu", "torch>=2.11,<2.14"),
])
def test_a_cpu_build_comes_from_the_configured_places_then_pytorch_then_pypi(
        house, system, has_nvidia, configured, pytorch_index, installed):
    executable(house / ".venv" / "bin" / "python", FAKE_PYTHON)
    result = in_setup(house, f"""uname() {{ echo {system}; }}; has_nvidia() {{ {str(has_nvidia).lower()}; }}
        install() {{ echo "$@"; }}; install_torch""", FAKE_VERSIONS=configured, FAKE_INDEX_VERSIONS=pytorch_index)
    assert result.stdout.strip() == installed
    assert ("3 GB" in result.stderr) == ("==" not in installed)  # nobody downloads that unawares


def test_uv_is_told_where_pip_looks(house):
    executable(house.parent / "bin" / "uv", '#!/bin/sh\necho "$UV_FIND_LINKS $UV_DEFAULT_INDEX $UV_EXTRA_INDEX_URL"\n')
    code = "configure_uv /no/such/python; uv"
    told = in_setup(house, code, PIP_FIND_LINKS="/a /b", PIP_INDEX_URL="mirror", PIP_EXTRA_INDEX_URL="x y").stdout
    assert told == "/a,/b mirror x y\n"
    assert in_setup(house, code, PIP_FIND_LINKS="/a", UV_FIND_LINKS="/own").stdout == "/own  \n"


def test_setup_ends_at_once_until_something_it_stands_on_changes(house):
    make_ready(house)
    assert in_setup(house, "main", PYTHON=str(house / ".venv" / "bin" / "python")).returncode == 0
    assert not (house / "calls.txt").exists()
    assert in_setup(house, "is_ready", FAKE_VERSION="3.12").returncode == 1
    (house / ".venv" / "setup-unfinished").touch()
    assert in_setup(house, "is_ready").returncode == 1
    (house / ".venv" / "setup-unfinished").unlink()
    (house / "requirements.lock").write_text("another==1\n")
    assert in_setup(house, "is_ready").returncode == 1
    assert in_setup(house, "is_venv_usable").returncode == 0  # completed, not made again


# -----------------------------------------------------------------------------
# quickstart.sh

@pytest.mark.parametrize("flags, env, said", [
    (["--nope"], {}, "--nope"), (["--data"], {}, "--data"), (["--data", "no.txt"], {}, "no.txt"),
    (["--chats", "no.jsonl"], {}, "no.jsonl"), (["--dtype", "float16"], {}, "float16"),
    (["--quick", "--chats", str(ROOT / "README.md")], {}, "--quick"), ([], {"PORT": "70000"}, "70000"), ([], {"PORT": "http"}, "http"),
])
def test_a_mistake_is_one_line_and_exit_code_2_before_any_setup(house, flags, env, said):
    result, commands = quickstart(house, *flags, **env)
    assert result.returncode == 2 and re.fullmatch(r"error: .*\n", result.stderr) and said in result.stderr
    assert commands == [] and not (house / ".venv").exists()


def test_a_port_in_use_is_noticed_before_the_training(house):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        result, _ = quickstart(house, PORT=port, QUICKSTART_SERVE="1")
    assert result.returncode == 2 and f"port {port} is in use" in result.stderr


WORLD_STAGES = ["tok_train", "base_train", "base_eval", "chat_sft", "chat_sft", "chat_rl",
                "chat_eval", "chat_eval", "report"]


def test_stages_run_in_order_once_and_then_it_serves(house):
    make_ready(house)
    result, commands = quickstart(house)
    assert result.returncode == 0 and names(commands) == WORLD_STAGES and "minutes" in result.stderr
    assert "--stage mid --tasks exercises" in commands[3] and "--stage" not in commands[4]
    evaluated = [line.split("--source ")[1].split()[0] for line in commands if line.startswith("chat_eval")]
    assert evaluated == ["sft", "rl"]
    assert all("--resume auto" in commands[i] for i in (1, 3, 4, 5))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])  # free again in a moment
    result, commands = quickstart(house, QUICKSTART_SERVE="1", PORT=port)
    assert "minutes" not in result.stderr and names(commands) == ["chat_web"] and commands[0].endswith(f"--port {port}")
    assert f"http://127.0.0.1:{port}" in result.stderr


def test_a_stage_that_fails_ends_it_and_the_next_call_takes_up_from_there(house):
    make_ready(house)
    result, commands = quickstart(house, FAKE_FAILURE="chat_rl")
    assert result.returncode == 3 and names(commands) == WORLD_STAGES[:6]
    result, commands = quickstart(house)
    assert result.returncode == 0 and names(commands) == WORLD_STAGES[5:]


def test_fresh_trains_again_and_leaves_other_models_alone(house):
    make_ready(house)
    quickstart(house)
    others = [house.parent / "base" / "runs" / "base" / "d4" / "result.json", house.parent / "base" / "data" / "x"]
    for other in others:
        other.parent.mkdir(parents=True)
        other.touch()
    _, commands = quickstart(house, "--fresh")
    assert names(commands) == WORLD_STAGES and all(other.exists() for other in others)


def test_a_tokenizer_that_somebody_else_made_is_used_and_kept(house):
    make_ready(house)
    theirs = house.parent / "base" / "tokenizer" / "tokenizer.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    for flags in ([], ["--fresh"]):
        _, commands = quickstart(house, *flags)
        assert names(commands) == WORLD_STAGES[1:] and theirs.read_text() == "theirs"


def test_own_files_make_a_model_of_their_own_and_skip_what_belongs_to_the_world(house):
    make_ready(house)
    quickstart(house)
    (house.parent / "my book.txt").write_text("Once.")  # looked for where the command was typed
    (house.parent / "chats.jsonl").write_text("{}")
    _, with_text = quickstart(house, "--data", "my book.txt")
    _, with_both = quickstart(house, "--data", "my book.txt", "--chats", "chats.jsonl")
    assert names(with_text) == WORLD_STAGES
    assert names(with_both) == ["tok_train", "base_train", "base_eval", "mid_train", "chat_sft", "report"]
    tags = {line.split("--model-tag ")[1].split()[0] for line in with_text + with_both if "--model-tag" in line}
    assert len(tags) == 2 and "quickstart" not in tags
    book, chats = house.parent / "my book.txt", house.parent / "chats.jsonl"
    flags = {line.split()[0]: line for line in with_both}
    assert f"--data {book}" in flags["tok_train"] and f"--chats {chats}" in flags["tok_train"]
    assert f"--data {book}" in flags["base_train"] and f"--data {chats}" in flags["chat_sft"]
    assert f"--data {chats} --text-data {book}" in flags["mid_train"]
    book.write_text("Twice.")
    assert names(quickstart(house, "--data", "my book.txt")[1]) == WORLD_STAGES
    # The world's model still stands, although tokenizer and report card are of another one now.
    assert names(quickstart(house)[1]) == ["report"] and quickstart(house)[1] == []


def test_quick_makes_a_model_of_its_own_by_fewer_steps(house):
    make_ready(house)
    _, long = quickstart(house)
    _, quick = quickstart(house, "--quick")
    assert names(long) == WORLD_STAGES and names(quick) == WORLD_STAGES[:3] + WORLD_STAGES[4:]
    assert all("--model-tag quickstart-quick " in f"{line} " for line in quick[1:])
    assert "--source base" in quick[3]  # nothing between, see runs/quickstart.sh
    for i, steps in ((3, 800), (4, 40)):
        assert re.findall(r"--num-iterations (\d+)", quick[i]) == [str(steps)]
    assert quickstart(house, "--quick")[1] == [] and names(quickstart(house)[1]) == ["report"]


def test_smoke_leaves_nothing_behind(house):
    make_ready(house)
    (house.parent / "tmp").mkdir()
    result, commands = quickstart(house, "--smoke", TMPDIR=str(house.parent / "tmp"), QUICKSTART_SERVE="1")
    assert result.returncode == 0 and names(commands) == WORLD_STAGES and "--depth 2" in commands[1]
    assert not (house.parent / "base").exists() and not any((house.parent / "tmp").iterdir())


@pytest.mark.slow
def test_smoke_runs_every_stage_for_real():
    if not (ROOT / ".venv" / "setup-done").exists():
        pytest.skip("bash runs/setup.sh has not made this .venv")
    command = ["bash", ROOT / "runs" / "quickstart.sh", "--smoke"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"[{len(WORLD_STAGES)}] took" in result.stderr


# -----------------------------------------------------------------------------
# .ci/run

@pytest.mark.parametrize("default, slow, code", [(0, 0, 0), (0, 5, 0), (0, 1, 1), (1, 0, 1), (5, 0, 5)])
def test_ci_runs_the_default_suite_and_then_the_slow_tests(house, default, slow, code):
    executable(house / "runs" / "test.sh",
               f'echo "$*" >> calls.txt; case "$*" in *slow*) exit {slow} ;; esac; exit {default}')
    result = run(house, str(house / ".ci" / "run"))
    assert result.returncode == code
    calls = (house / "calls.txt").read_text().splitlines()
    assert calls[0] == "" and (len(calls) == 1 if default else calls[1].startswith("-m slow"))
