import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from nanochat import common, files
from nanochat.common import (UserError, choose_dtype, command, compute_init, fresh_store, get_dist_info, in_short_thread,
                             peak_flops, round_up)
from nanochat.files import atomic_write, file_lock, read_json, require_free_space, sha256_file, write_json

CPU = torch.device("cpu")


def test_a_user_error_is_one_line_and_exit_code_2(capsys):
    @command
    def main(args):
        raise UserError("--depth 0: at least 1")
    with pytest.raises(SystemExit) as exit_info:
        main(None)
    out, err = capsys.readouterr()
    assert exit_info.value.code == 2 and out == "" and err == "error: --depth 0: at least 1\n"


def test_our_own_mistakes_keep_their_traceback():
    @command
    def main(args):
        raise ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        main(None)


def test_the_record_is_the_last_line_of_stdout_on_rank_0_only(capsys, monkeypatch):
    main = command(lambda args: {"status": "finished"})
    assert main(None) == {"status": "finished"}
    assert json.loads(capsys.readouterr().out) == {"status": "finished"}
    monkeypatch.setenv("RANK", "1")
    main(None)
    assert capsys.readouterr().out == ""


def test_ranks_come_from_torchruns_variables(monkeypatch):
    assert get_dist_info() == (0, 0, 1)
    for name, value in (("RANK", "5"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    assert get_dist_info() == (5, 1, 8)


def meet(store, delays):
    """The stores that ranks get when each comes a little later."""
    def come(rank):
        time.sleep(delays[rank])
        return fresh_store(store, rank, len(delays))
    with ThreadPoolExecutor(len(delays)) as pool:
        return list(pool.map(come, range(len(delays))))


def test_ranks_that_start_again_read_nothing_of_those_that_died():
    store = dist.HashStore()
    for delays in ((0, 0, 0), (0, 0.1, 0), (0.1, 0, 0.05)):
        ranks = meet(store, delays)
        assert not any(rank.check(["address"]) for rank in ranks)
        ranks[0].set("address", str(delays))
        assert [rank.get("address").decode() for rank in ranks] == [str(delays)] * 3
        store.set("name/0", "a rank that started and died while the others were still coming")


@pytest.mark.parametrize("has_amx, has_avx512, expected", [
    (True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, torch.float32)])
def test_bf16_is_chosen_only_where_the_processor_has_it(monkeypatch, has_amx, has_avx512, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_avx512)
    assert choose_dtype(None, CPU) == expected
    assert choose_dtype("float64", CPU) == torch.float64
    if expected == torch.float32:
        with pytest.raises(UserError, match="--dtype float32"):
            choose_dtype("bfloat16", CPU)


@pytest.mark.parametrize("name", ["float16", "half", "", "int8"])
def test_f16_and_unknown_dtypes_are_refused(name):
    with pytest.raises(UserError, match="float32, bfloat16, float64"):
        choose_dtype(name, CPU)


@pytest.mark.parametrize("name", ["tpu", "", "CPU"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(UserError, match="cuda, mps, cpu"):
        compute_init(name)


def test_rounded_sizes_are_few_and_little_larger():
    sizes = [round_up(n) for n in range(2049)]
    assert sizes[:13] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 12, 12]
    assert all(n <= size < 1.25 * n for n, size in enumerate(sizes) if n) and sizes == sorted(sizes)
    assert len(set(sizes)) == 9 + 4 * 8


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_short_thread_takes_its_workers_with_it():
    """A thread that computes by itself leaves workers behind, which is what the short one is for."""
    found = {}

    def count_threads():
        return len(list(Path("/proc/self/task").iterdir()))

    def compute():
        torch.ones(1 << 20).add_(1)
        return count_threads()

    def compare():
        torch.set_num_threads(3)
        before = count_threads()
        found["inside"] = in_short_thread(compute) - before
        until = time.monotonic() + 10
        while count_threads() > before and time.monotonic() < until:
            time.sleep(0.01)  # they end a moment after the thread they worked for
        found["after"] = count_threads() - before
        found["without"] = compute() - before
        torch.set_num_threads(num_threads)

    num_threads = torch.get_num_threads()
    thread = threading.Thread(target=compare)
    thread.start()
    thread.join()
    if found["without"] == 0:
        pytest.skip("this torch does not compute in parallel")
    assert found["after"] == 0 and found["inside"] > 0


def test_what_fails_in_a_short_thread_fails_here():
    with pytest.raises(UserError, match="no such model"):
        in_short_thread(lambda: (_ for _ in ()).throw(UserError("no such model")))


@pytest.mark.parametrize("script, expected", [("#!/bin/sh\nexit 0\n", True), ("#!/bin/sh\nexit 1\n", False), (None, False)])
def test_a_compiler_counts_when_it_runs(tmp_path, monkeypatch, script, expected):
    """nanochat #29: no compiler must mean eager. macOS has a clang++ that only asks to be installed."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(common.sysconfig, "get_path", lambda name: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    if script:
        (tmp_path / "clang++").write_text(script)
        (tmp_path / "clang++").chmod(0o755)
    assert common.has_compiler() is expected


def test_the_longest_device_name_wins():
    assert peak_flops("NVIDIA H100 PCIe") == 756e12 and peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA L40S") == 362e12 and peak_flops("Some CPU") is None


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "a" / "file.json"
    write_json(path, {"text": "äöü"})
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, "new")
    assert read_json(path) == {"text": "äöü"} and [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_broken_json_is_one_line_that_names_the_file(tmp_path):
    (tmp_path / "x.json").write_text('{"a": ')
    with pytest.raises(UserError, match="x.json is not valid JSON"):
        read_json(tmp_path / "x.json")


def test_sha256_of_the_empty_file_is_the_published_one(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_lock_keeps_a_second_holder_out(tmp_path):
    import fcntl
    with file_lock(tmp_path / "deep" / "lock"):
        with open(tmp_path / "deep" / "lock") as f, pytest.raises(BlockingIOError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_full_disk_is_noticed_before_the_run(tmp_path):
    require_free_space(tmp_path / "not" / "yet", 1000, "saving")
    with pytest.raises(UserError, match="saving needs 1,000,000,000,000 MB .* NANOCHAT_BASE_DIR"):
        require_free_space(tmp_path / "not" / "yet", 10 ** 18, "saving")


def test_base_dir_follows_its_variable_and_else_the_home(monkeypatch, tmp_path):
    assert common.base_dir() == tmp_path / "base"
    monkeypatch.delenv("NANOCHAT_BASE_DIR")
    assert common.base_dir().parts[-2:] == (".cache", "nanochat")
