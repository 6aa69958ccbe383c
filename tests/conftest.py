"""Starts the test Hub before any Hub library is imported, and points all of them, and their caches, at it."""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

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
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_SYMLINKS_WARNING="1",
    MPLBACKEND="Agg",
    MPLCONFIGDIR=str(HOME / "matplotlib"),
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
    NO_PROXY=",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"])),
)
os.environ["no_proxy"] = os.environ["NO_PROXY"]


# Copies of source repositories, datasets/<namespace>/<name>/...: METAEVAL_MIRROR, or shared/ beside the repository.
MIRROR = Path(os.environ.get("METAEVAL_MIRROR") or ROOT.parent / "shared" / "hub").resolve()
if (MIRROR / "datasets").is_dir():
    HUB.serve_folder(MIRROR)


def pytest_unconfigure() -> None:
    HUB.stop()
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No faults, an empty request log, the usual limits, and the same random numbers, whatever ran before."""
    HUB.reset()
    for name in ("metaeval_datasets", "metaeval_hub"):  # a training or an example in this process may set its level
        logging.getLogger(name).setLevel(logging.NOTSET)
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    yield
    HUB.reset()


@pytest.fixture(scope="session")
def hub() -> Hub:
    """The Hub that all clients of the session talk to. Repositories remain from test to test: take a new name."""
    return HUB


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Clients retry without waiting; returns the list to which the seconds they would have waited are added."""
    from datasets.utils import file_utils
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    waits: list[float] = []
    clock = SimpleNamespace(**{**vars(time), "sleep": waits.append})
    for module in (file_utils, file_download, _http):
        monkeypatch.setattr(module, "time", clock)
    return waits


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of source repositories, also served by the Hub; the test is skipped where there is none."""
    if not (MIRROR / "datasets").is_dir():
        pytest.skip(f"no mirror of the source repositories: {MIRROR} has no datasets/ (METAEVAL_MIRROR says where)")
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
