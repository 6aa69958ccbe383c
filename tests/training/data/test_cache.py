import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from metaeval_training.data.cache import DataCache, digest


def test_what_is_written_is_read(tmp_path):
    cache = DataCache(tmp_path / "a" / "b")
    assert cache.read_json("tasks", "0" * 32) is None
    assert cache.read_table("tokens", "0" * 32) is None
    cache.write_json("tasks", "0" * 32, {"labels": ["ja", "nö"]})
    assert cache.read_json("tasks", "0" * 32) == {"labels": ["ja", "nö"]}
    table = pa.table({"label": [1, 2, 3]})
    assert cache.write_table("tokens", "0" * 32, table).equals(table)
    assert cache.read_table("tokens", "0" * 32).equals(table)
    assert not cache.problem


def test_a_mapped_table_needs_no_open_file(tmp_path):
    cache = DataCache(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    tables = [cache.write_table("tokens", digest(i), pa.table({"label": [i]})) for i in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    for file in tmp_path.rglob("*.arrow"):
        file.unlink()  # a cache may be emptied under a run
    assert [table["label"].to_pylist() for table in tables] == [[i] for i in range(20)]


def test_half_a_file_counts_as_none(tmp_path):
    cache = DataCache(tmp_path)
    cache.write_table("tokens", "0" * 32, pa.table({"label": list(range(1000))}))
    file = cache.path("tokens", "0" * 32, "arrow")
    whole = file.read_bytes()
    for size in (0, 5, 1000, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert cache.read_table("tokens", "0" * 32) is None


@pytest.mark.parametrize("position", [3, 500, -30, -300, -1000])
def test_a_flipped_bit_counts_as_none_and_is_written_over(position, tmp_path):
    """In the checksum, in the schema, in the footer and in the numbers."""
    cache, table = DataCache(tmp_path), pa.table({"label": list(range(1000))})
    cache.write_table("tokens", "0" * 32, table)
    cache.write_json("tasks", "0" * 32, {"available": {"train": 1234}})
    for ending in ("arrow", "json"):
        file = cache.path("tasks" if ending == "json" else "tokens", "0" * 32, ending)
        content = bytearray(file.read_bytes())
        content[position % len(content)] ^= 1
        file.write_bytes(content)
    assert cache.read_table("tokens", "0" * 32) is None
    assert cache.read_json("tasks", "0" * 32) is None
    assert cache.write_table("tokens", "0" * 32, table).equals(table)
    assert cache.read_table("tokens", "0" * 32).equals(table)


def test_numbers_of_a_mapped_table_are_aligned(tmp_path):
    table = DataCache(tmp_path).write_table("tokens", "0" * 32, pa.table({"label": list(range(1000))}))
    assert table["label"].chunk(0).buffers()[1].address % 8 == 0


@pytest.mark.parametrize("moment", ["write", "replace"])
def test_a_run_continues_if_the_disk_cannot_be_written(moment, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    cache, table = DataCache(tmp_path), pa.table({"label": [1]})
    monkeypatch.setattr("metaeval_training.atomic_files.sync" if moment == "write" else "pathlib.Path.replace", full)
    assert cache.write_table("tokens", "0" * 32, table) is table
    assert "No space left on device" in cache.problem
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_two_processes_may_keep_the_same_thing_at_once(tmp_path, run_python):
    """Another process writes and reads at the same time; no read sees half a file."""
    code = """
import sys, pathlib, pyarrow
from metaeval_training.data.cache import DataCache
cache, table = DataCache(pathlib.Path(sys.argv[1])), pyarrow.table({"label": list(range(20_000))})
for _ in range(100):
    assert cache.write_table("tokens", "0" * 32, table).equals(table)
assert not cache.problem, cache.problem
"""
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(run_python, code, str(tmp_path)) for _ in range(2)]
        while not all(other.done() for other in others):
            table = DataCache(tmp_path).read_table("tokens", "0" * 32)
            assert table is None or len(table) == 20_000
            time.sleep(0.002)
        assert [other.result().returncode for other in others] == [0, 0]
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["0" * 32 + ".arrow"]


def test_files_have_the_usual_permissions(tmp_path):
    """Others read a shared cache; temporary files that Python makes would be for their owner alone."""
    (tmp_path / "usual").touch()
    DataCache(tmp_path).write_json("tasks", "0" * 32, 1)
    (file,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_digests_tell_parts_apart():
    assert digest("a", "bc") != digest("ab", "c")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
