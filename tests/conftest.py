"""Starts the test Hub before any Hub library is imported, and points all of them, and their caches, at it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EARLY = sorted({"huggingface_hub", "datasets", "transformers", "adapters"} & sys.modules.keys())
if EARLY:
    raise pytest.UsageError(f"{', '.join(EARLY)} imported before tests/conftest.py: HF_ENDPOINT is read at import")

from tests.hub import Hub  # noqa: E402

HUB = Hub().start()
HOME = Path(tempfile.mkdtemp(prefix="metaeval-tests-"))

# The libraries read these when imported. Whatever the user has set must not lead out of the temporary folder.
for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_"))]:
    del os.environ[name]
os.environ.update(
    HF_ENDPOINT=HUB.url,
    HF_TOKEN=HUB.token,
    HF_HOME=str(HOME / "hf"),
    HF_DATASETS_CACHE=str(HOME / "hf" / "datasets"),
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_SYMLINKS_WARNING="1",
    MPLBACKEND="Agg",
    MPLCONFIGDIR=str(HOME / "matplotlib"),
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
    NO_PROXY=",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"])),
)
os.environ["no_proxy"] = os.environ["NO_PROXY"]


def find_mirror() -> Path | None:
    """The folder with copies of source repositories: METAEVAL_MIRROR, or hub/ in shared/ beside the repository."""
    given = os.environ.get("METAEVAL_MIRROR")
    folder = Path(given) if given else ROOT.parent / "shared" / "hub"
    return folder.resolve() if (folder / "datasets").is_dir() else None


MIRROR = find_mirror()
if MIRROR is not None:
    HUB.serve_folder(MIRROR)


def pytest_unconfigure() -> None:
    HUB.stop()
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """The same random numbers for each test, whatever ran before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The session's Hub. Faults, request log and limits are as new for each test; repositories of others remain."""
    HUB.reset()
    yield HUB
    HUB.reset()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of source repositories, also served by the Hub; the test is skipped where there is none."""
    if MIRROR is None:
        pytest.skip("no mirror of the source repositories: set METAEVAL_MIRROR to a folder that holds datasets/")
    return MIRROR


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a new Python process with this environment; fails the test with its stderr unless ``check=False``.

    ``run_python(code, *arguments, env={...}, cwd=..., check=True, timeout=120)``; in ``env`` None removes a variable.
    """

    def run(
        code: str,
        *arguments: str,
        env: dict[str, str | None] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        merged = {**os.environ, "PYTHONPATH": path, **(env or {})}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={key: value for key, value in merged.items() if value is not None},
            cwd=cwd or tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run
