"""Fixtures of the tests that download from the Hub and push to it."""

import pytest

from metaeval_hub.hub import retry

# a binary file goes through LFS, the rest through the commit itself
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": bytes(range(256)) * 400,
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
}
ALL = ("*.json", "*.safetensors", "*.md")


@pytest.fixture
def waits(monkeypatch, fast_retries) -> list[float]:
    """Seconds that this package's own attempts would have waited for; nobody waits."""
    found: list[float] = []
    monkeypatch.setattr(retry, "sleep", found.append)
    return found


@pytest.fixture
def repo(hub) -> str:
    name = hub.name("client")
    hub.add_repo(name, FILES)
    return name


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def content(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(hub, repo) -> dict[str, bytes]:
    files = {name: hub.repo(repo).read(name) for name in hub.repo(repo).files()}
    return {name: body for name, body in files.items() if name != ".gitattributes"}
