"""The wheel and the source distribution contain what users need, and the wheel trains without a clone."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = {
    *("metaeval_hub/py.typed", "metaeval_datasets/py.typed"),
    *(f"metaeval_training/configs/{path.name}" for path in (ROOT / "training" / "configs").iterdir()),
    *(f"metaeval_hub/model_cards/{path.name}" for path in (ROOT / "model_cards").iterdir()),
    *(f"metaeval_hub/page/app/{path.name}" for path in (ROOT / "metaeval_hub" / "page" / "app").iterdir()),
}


def test_the_wheel_has_all_modules_and_data_files(run_python):
    code = f"""
import os
os.chdir({str(ROOT)!r})
from setuptools import distutils
from distutils.core import run_setup
dist = run_setup("setup.py", stop_after="init")
build = dist.get_command_obj("build_py")
build.ensure_finalized()
print("\\n".join(os.path.relpath(path, build.build_lib) for path in build.get_outputs(include_bytecode=0)))
print(dist.data_files)
"""
    *files, data_files = run_python(code).stdout.splitlines()
    folders = {ROOT: ("metaeval_datasets", "metaeval_hub"), ROOT / "training": ("metaeval_training",)}
    modules = {
        path.relative_to(base).as_posix() for base, names in folders.items() for name in names
        for path in (base / name).rglob("*.py")
    }  # fmt: skip
    assert len(DATA) > 15
    assert {*files} == modules | DATA
    assert "training/launch.yaml" in data_files


@pytest.mark.slow
def test_the_wheel_trains_in_a_fresh_environment(tmp_path):
    """The libraries are those of this environment; the package itself is the installed wheel."""

    def do(*words, folder=tmp_path):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        words = [*map(str, words)]
        return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout

    source = tmp_path / "source"
    source.mkdir()
    do("git", "archive", "--output", tmp_path / "source.tar", "HEAD", folder=ROOT)
    do("tar", "-xf", tmp_path / "source.tar", "-C", source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    do(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source)
    (wheel,) = tmp_path.glob("*.whl")
    do(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    programs = tmp_path / "env" / "bin"
    do(*pip, "--python", programs / "python", "install", "--no-deps", wheel)
    installed = Path(do(programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (installed / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = tmp_path / "work"
    work.mkdir()
    assert do(programs / "metaeval", "--version", folder=work) == "metaeval 0.1.0\n"
    small = ("--tasks", "demo/spam", "demo/claims", "--threads", "1", "--max-eval-rows", "40")
    for several in ((), ("--processes", "2")):
        printed = do(programs / "metaeval", "train", *several, *small, "--steps", "200", folder=work)
        assert f"{max(len(several), 1)} process" in printed
        assert "200 steps in" in printed
    (work / "runs" / "multitask-2" / "results.json").unlink()
    printed = do(programs / "python", "-m", "metaeval_hub", "train", *small, "--steps", "2", folder=work)
    (line,) = [line for line in printed.splitlines() if "to go on with it: " in line]
    resumed = do("bash", "-c", line.split("to go on with it: ")[1], folder=work)
    assert "resuming after step 200" in resumed
    for name in (("probes", "--methods", "majority"), ("single-task", "--steps", "2", "--methods", "adapter")):
        assert "results" in do(programs / "metaeval", "train", *name, *small, folder=work)
