"""Records what loading a repository must never do: run it, reach out, or write where it has no business.

Python's audit hooks see calls from whatever library they come, also by names bound at import; what has no audit event
of its own (a kernel fetched from the Hub, a dynamic module, torch.load) is replaced by a recorder.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import urlparse

import pytest
import torch
import transformers.dynamic_module_utils
from transformers.integrations import hub_kernels

RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")
# what each changes, by its place among the arguments
FILES = {"os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.chmod": (0,), "os.truncate": (0,),
         "os.rename": (0, 1), "os.symlink": (1,), "os.link": (1,), "shutil.rmtree": (0,)}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Tripwire:
    """While armed, ``hits`` collects what was done, as lines of text."""

    def __init__(self) -> None:
        self.armed, self.hits = False, []
        self.repository = Path("/nonexistent")
        self.addresses: set[tuple[str, int]] = set()
        self.writable = [Path(tempfile.gettempdir()).resolve(), Path("/dev/null")]

    def audit(self, event: str, args: tuple) -> None:
        if not self.armed:
            return
        hit = None
        if event in RUNS:
            hit = args[0]
        elif event == "socket.connect":
            hit = None if args[1] in self.addresses else args[1]
        elif event == "socket.getaddrinfo":
            hit = None if args[0] in ("127.0.0.1", "localhost") else args[0]
        elif event == "pickle.find_class":
            hit = args
        elif event == "import":
            strange = args[0].startswith(("transformers_modules", "kernels")) or self._from_repository(args[1])
            hit = args[0] if strange else None
        elif event == "exec":
            hit = args[0].co_filename if self._from_repository(getattr(args[0], "co_filename", None)) else None
        elif event == "open" and args[2] & WRITES:
            hit = None if self._may_write(args[0]) else args[0]
        elif event in ("os.remove", "os.rmdir") and args[1] != -1:
            pass  # relative to an open folder: by shutil.rmtree, which has named the whole before
        elif event in FILES:
            hit = next((args[i] for i in FILES[event] if not self._may_write(args[i])), None)
        if hit is not None:
            self.hits.append(f"{event}: {hit!r}")

    def _from_repository(self, path: object) -> bool:
        return isinstance(path, str) and os.path.isabs(path) and Path(path).is_relative_to(self.repository)

    def _may_write(self, path: object) -> bool:
        if isinstance(path, int):
            return True  # a file that is open already
        place = Path(os.path.abspath(os.fsdecode(path)))
        # Python's own cache of compiled modules
        return "__pycache__" in place.parts or any(place.is_relative_to(root) for root in self.writable)

    @contextmanager
    def watching(self, repository: Path) -> Iterator[None]:
        """Arm it while a repository is loaded."""
        self.repository, self.armed = repository.resolve(), True
        try:
            yield
        finally:
            self.armed = False

    def record(self, name: str):
        """A function that takes the place of a dangerous one, and records its call."""

        def recorder(*args: object, **kwargs: object):
            self.hits.append(f"{name}: {args!r}")
            return SimpleNamespace()

        return recorder


_WIRE = Tripwire()
sys.addaudithook(_WIRE.audit)  # for good: a hook cannot be taken away, only be idle


def lay(monkeypatch: pytest.MonkeyPatch, hub) -> Tripwire:
    """Put the recorders in place for one test; the addresses of ``hub`` are the only ones allowed."""
    _WIRE.hits.clear()
    _WIRE.addresses = {(urlparse(url).hostname, urlparse(url).port) for url in (hub.url, hub.cdn_url)}
    # as if the package `kernels` were installed, which makes the holes of transformers live
    kernels = ModuleType("kernels")
    kernels.get_kernel = _WIRE.record("kernels.get_kernel")
    monkeypatch.setitem(sys.modules, "kernels", kernels)
    if hasattr(hub_kernels, "_kernels_available"):  # transformers 4
        monkeypatch.setattr(hub_kernels, "_kernels_available", True)
    else:
        monkeypatch.setattr(hub_kernels, "is_kernels_available", lambda: True)
    monkeypatch.setattr(hub_kernels, "get_kernel", kernels.get_kernel, raising=False)
    original = transformers.dynamic_module_utils.get_class_from_dynamic_module
    for module in list(sys.modules.values()):
        if vars(module).get("get_class_from_dynamic_module") is original:
            monkeypatch.setattr(module, "get_class_from_dynamic_module", _WIRE.record("get_class_from_dynamic_module"))
    for owner, name in ((torch, "load"), (torch.jit, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(owner, name, _WIRE.record(f"{owner.__name__}.{name}"))
    return _WIRE
