"""Every script in training/ prepares its process before it imports torch."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path.name for path in (ROOT / "training").glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
)


def test_the_scripts_are_found():
    assert {"multitask.py", "single_task.py", "probes.py", "task_vectors.py", "zero_shot.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_before_torch_is_loaded_threads_sleep_and_an_interrupt_leaves_no_trace(script, run_python):
    code = """
import os, runpy, signal, sys
class Look:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("policy", os.environ.get("OMP_WAIT_POLICY"), flush=True)
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C during the imports
sys.meta_path.insert(0, Look())
sys.argv = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    result = run_python(code, str(ROOT / "training" / script), env={"OMP_WAIT_POLICY": None}, check=False)
    assert result.stdout == "policy PASSIVE\ninterrupted\n"
    assert result.stderr == ""
    assert result.returncode == 130
