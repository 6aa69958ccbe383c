"""The loading benchmark compares methods that give the same rows, and prints its table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import casting
from metaeval_datasets import get_task

SCRIPT = Path(casting.__file__)


@pytest.fixture
def sources(hub, tmp_path):
    """Serve only small synthetic sources."""
    for task in casting.SYNTHETIC:
        casting.make_source(tmp_path, get_task(task), casting.synthetic_rows(get_task(task), 2_000))
    with hub.only_folder(tmp_path):
        yield tmp_path


def test_all_methods_give_the_same_rows(sources):
    """Official splits are equal; derived splits have the same sizes but other rows."""
    for task in casting.SYNTHETIC:
        spec = get_task(task)
        ours, others = casting._load_task(spec), casting._load_and_map(spec)
        for split in set(spec.splits) - {"train"}:
            assert ours[split].to_list() == others[split].to_list()
        sizes = {split: len(rows) for split, rows in ours.items()}
        assert sizes == pytest.approx({split: len(rows) for split, rows in others.items()}, abs=1)
        assert sum(sizes.values()) < sum(
            len(rows) for rows in casting._load_source(spec).values()
        )  # unusable rows are dropped


@pytest.mark.slow
def test_the_command_prints_a_table():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rows", "500", "--rounds", "1"], capture_output=True, text=True, check=True
    )
    head, *rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert "own MB" in head
    assert len(rows) == 1 + len(casting.SYNTHETIC) * len(casting.METHODS)
    assert re.search(r"^command: python benchmarks/casting.py --rows 500 --rounds 1$", done.stdout, re.MULTILINE)
