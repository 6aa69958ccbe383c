"""The notebooks run from top to bottom without the Hub, and print what is stored in them."""

import pytest

from metaeval_datasets import list_tasks, unregister_task
from tests.docs.notebooks import NOTEBOOKS, code_cells, lines_of, printed, read, run_cell, stream
from tests.docs.pages import masked
from tests.docs.test_examples import same_process


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_print_what_is_stored(path, tmp_path, monkeypatch):
    """Of cells with the tag "varies", whose results depend on the processor, only the first line is compared."""
    pytest.importorskip("fastapi")  # the extra `serve`
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    try:
        with same_process():
            for cell in code_cells(read(path)):
                got, stored = printed({"outputs": run_cell(cell, names)}), printed(cell)
                if "varies" in cell["metadata"].get("tags", ()):
                    got, stored = got.partition("\n")[0], stored.partition("\n")[0]
                assert masked(got) == masked(stored), "".join(cell["source"])
    finally:
        for task in list_tasks(own=True):
            unregister_task(task)


def test_a_cell_prints_its_output_and_its_last_value():
    names: dict[str, object] = {}
    cell = {"source": ["x = 2\n", "print('a')\n", "x + 1"], "execution_count": 1}
    outputs = run_cell(cell, names)
    assert outputs[0] == stream("a\n")[0]
    assert outputs[1]["data"] == {"text/plain": ["3"]}
    assert printed({"outputs": outputs}) == "a\n3"
    assert run_cell({"source": ["x = 3"], "execution_count": 2}, names) == []
    assert lines_of("a\nb") == ["a\n", "b"]
    with pytest.raises(ZeroDivisionError):
        run_cell({"source": ["1 / 0"], "execution_count": 3}, names)
