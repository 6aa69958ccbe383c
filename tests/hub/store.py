"""What the test Hub keeps: users, repositories with their history, and blobs on disk, named by content."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import yaml

TYPES = ("model", "dataset", "space")
FULL_SHA = re.compile(r"[0-9a-f]{40}")
NULL_SHA = "0" * 40
CHUNK = 1 << 20

# What the Hub writes into a new repository; the patterns also decide which uploads go through LFS.
LFS_SUFFIXES = """
7z arrow bin bz2 ckpt ftz gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar
safetensors tar.* tar tflite tgz wasm xz zip zst
"""
LFS_PATTERNS = [*(f"*.{suffix}" for suffix in LFS_SUFFIXES.split()), "*tfevents*"]
GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)


class HubError(Exception):
    """An answer the Hub gives instead of a result: status, X-Error-Code and message."""

    def __init__(self, status: int, message: str, code: str | None = None, **body: object) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body
        self.headers: dict[str, str] = {}


class Moved(Exception):
    """The repository has another name now."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


def now() -> datetime:
    return datetime.now(timezone.utc)


def stamp(date: datetime) -> str:
    return date.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class Blob:
    """Bytes in a file. Their two names are computed when first asked for: a mirror is hashed on demand."""

    path: Path
    size: int

    def _hash(self, start: bytes, algorithm: str) -> str:
        digest = hashlib.new(algorithm, start)
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    @cached_property
    def sha256(self) -> str:
        return self._hash(b"", "sha256")

    @cached_property
    def git_oid(self) -> str:
        return self._hash(f"blob {self.size}\0".encode(), "sha1")

    @cached_property
    def pointer(self) -> bytes:
        """The text that git holds in place of an LFS file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    def read(self) -> bytes:
        return self.path.read_bytes()


class Entry(NamedTuple):
    """A file of a commit, with the commit that last changed it."""

    blob: Blob
    lfs: bool
    commit: str

    @property
    def etag(self) -> str:
        """The name the client stores the file under: sha256 for LFS, git's sha1 otherwise."""
        return self.blob.sha256 if self.lfs else self.blob.git_oid

    @property
    def oid(self) -> str:
        if not self.lfs:
            return self.blob.git_oid
        pointer = self.blob.pointer
        return hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    message: str
    date: datetime
    author: str
    files: Mapping[str, Entry]

    def folders(self) -> set[str]:
        return {path[:at] for path in self.files for at, letter in enumerate(path) if letter == "/"}


@dataclass
class User:
    name: str
    orgs: dict[str, str] = field(default_factory=dict)  # organisation -> role: admin, write, contributor, read


@dataclass(frozen=True)
class Identity:
    """Who asks: a user and the role of the token used."""

    user: User
    role: str


class Blobs:
    """Files by sha256 in one folder; written under a temporary name, then moved into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "partial").mkdir(exist_ok=True)

    def temporary(self) -> Path:
        return self.root / "partial" / uuid.uuid4().hex

    def add(self, content: bytes) -> Blob:
        path = self.temporary()
        path.write_bytes(content)
        return self.adopt(path, hashlib.sha256(content).hexdigest())

    def adopt(self, path: Path, sha256: str) -> Blob:
        """Take over a file whose sha256 is known."""
        final = self.root / sha256
        path.replace(final)
        blob = Blob(final, final.stat().st_size)
        blob.__dict__["sha256"] = sha256  # fills the cached property
        return blob

    def get(self, sha256: str) -> Blob:
        path = self.root / sha256
        blob = Blob(path, path.stat().st_size)
        blob.__dict__["sha256"] = sha256
        return blob


def check_path(path: str) -> str:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..", ".git") for part in parts):
        raise HubError(400, f"Invalid path in repository: {path!r}")
    return path


def front_matter(text: str) -> dict:
    """The YAML block at the top of a card. Raises yaml.YAMLError when it cannot be read."""
    match = re.match(
        r"\A\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*\r?$", text.lstrip("\ufeff"), re.DOTALL | re.MULTILINE
    )
    data = yaml.safe_load(match.group(1)) if match else {}
    return {} if data is None else data


def _strings(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def check_card(text: str, kind: str) -> tuple[list[str], list[str]]:
    """What the Hub says about a card: (errors, warnings)."""
    try:
        data = front_matter(text)
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {error}"], []
    if not isinstance(data, dict):
        return ["YAML Metadata Error: expected a mapping"], []
    if not data:
        return [], ["empty or missing yaml metadata in repo card"]
    errors = [
        f'"{key}" must be a string or a list of strings, got {data[key]!r}'
        for key in ("language", "license", "tags", "datasets", "task_categories", "task_ids", "pipeline_tag")
        if key in data and data[key] is not None and not _strings(data[key])
    ]
    if kind == "dataset":
        configs = data.get("configs", [])
        if not isinstance(configs, list):
            errors.append('"configs" must be an array')
        else:
            for position, config in enumerate(configs):
                if not isinstance(config, dict) or not isinstance(config.get("config_name"), str):
                    errors.append(f'"configs[{position}].config_name" must be a string')
                elif re.search(r'[<>:/\\|?*"]', config["config_name"]):
                    errors.append(f'"configs[{position}].config_name" must not contain < > : / \\ | ? * or "')
        infos = data.get("dataset_info", [])
        if not isinstance(infos, dict | list):
            errors.append('"dataset_info" must be an object or an array')
    return errors, []


class Repo:
    """A repository: references, commits, and the LFS objects that were uploaded to it."""

    read_only = False

    def __init__(self, kind: str, name: str, *, private: bool = False, gated: str | bool = False) -> None:
        self.kind, self.name, self.private, self.gated = kind, name, private, gated
        self.granted: set[str] = set()  # users who may read a gated repository
        self.created = now()
        self.refs: dict[str, str] = {}
        self.commits: dict[str, Commit] = {}
        self.lfs: set[str] = set()
        self.lock = threading.RLock()

    @property
    def namespace(self) -> str:
        return self.name.rpartition("/")[0]

    def full_ref(self, revision: str) -> str | None:
        """The reference a revision names, or None."""
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return ref
        return None

    def commit(self, revision: str = "main", *, stale: bool = False) -> Commit:
        """The commit a branch, tag, full reference or full sha names; with ``stale`` the one before a branch's last."""
        with self.lock:
            ref = self.full_ref(revision)
            if ref is not None:
                commit = self.commits[self.refs[ref]]
                if stale and commit.parent and not ref.startswith("refs/tags/"):
                    commit = self.commits[commit.parent]
                return commit
            if revision in self.commits:
                return self.commits[revision]
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, revision: str = "main") -> list[Commit]:
        """Newest first."""
        commit, commits = self.commit(revision), []
        while True:
            commits.append(commit)
            if commit.parent is None:
                return commits
            commit = self.commits[commit.parent]

    def files(self, revision: str = "main") -> list[str]:
        """Paths, sorted."""
        return sorted(self.commit(revision).files)

    def read(self, path: str, revision: str = "main") -> bytes:
        """The bytes of a file."""
        return self.commit(revision).files[path].blob.read()

    def add_commit(
        self,
        ref: str,
        changes: Mapping[str, tuple[Blob, bool] | None],
        *,
        author: str,
        title: str,
        message: str = "",
        parent: str | None = None,
        date: datetime | None = None,
        sha: str | None = None,
    ) -> Commit:
        """Put a commit on a reference: path -> (blob, lfs), or None for a deletion."""
        with self.lock:
            old = self.commits[parent].files if parent else {}
            files = {path: entry for path, entry in old.items() if path not in changes}
            sha = sha or hashlib.sha1(f"{self.kind} {self.name} {parent} {uuid.uuid4()}".encode()).hexdigest()
            for path, change in changes.items():
                if change is not None:
                    entry = Entry(*change, sha)
                    if entry.lfs:
                        self.lfs.add(entry.blob.sha256)
                    same = path in old and old[path].etag == entry.etag
                    files[path] = old[path] if same else entry
            commit = Commit(sha, parent, title, message, date or now(), author, files)
            self.commits[sha] = commit
            self.refs[ref] = sha
            return commit

    def uses_lfs(self, path: str, size: int, sample: bytes, commit: Commit, limit: int) -> bool:
        """Whether a file goes through LFS: by .gitattributes, by size (bytes), or because it is binary."""
        attributes = commit.files.get(".gitattributes")
        for line in reversed(attributes.blob.read().decode().splitlines() if attributes else []):
            pattern, _, rest = line.strip().partition(" ")
            if pattern and not pattern.startswith("#") and _git_match(pattern, path):
                return "filter=lfs" in rest
        return size > limit or b"\0" in sample

    def ignores(self, path: str, commit: Commit, patterns: str | None) -> bool:
        """Whether .gitignore (the one sent along, else the one on the branch) leaves a file out."""
        if patterns is None:
            entry = commit.files.get(".gitignore")
            patterns = entry.blob.read().decode() if entry else ""
        ignored = False
        for line in map(str.strip, patterns.splitlines()):
            if line and not line.startswith("#"):
                pattern = line.removeprefix("!")
                if _git_match(pattern, path):
                    ignored = pattern == line
        return ignored


def _git_match(pattern: str, path: str) -> bool:
    """A pattern of .gitattributes or .gitignore: without a slash at any depth, a folder with all below it."""
    pattern, anchored = pattern.rstrip("/"), "/" in pattern.rstrip("/")
    parts = path.split("/")
    candidates = ["/".join(parts[: end + 1]) for end in range(len(parts))] if anchored else parts
    return any(fnmatch.fnmatch(candidate, pattern.lstrip("/")) for candidate in candidates)


class FolderRepo(Repo):
    """A folder on disk as a repository with one commit, read-only; listed and hashed when first asked for.

    A folder does not know its history, so any full sha stands for its content (the null sha stays unknown): a source
    pinned to a revision of the real Hub can be read. Parquet files named ``config/split-00000-of-00001.parquet`` also
    appear on refs/convert/parquet as ``config/split/0000.parquet``, where the Hub's own bot puts them.
    """

    read_only = True
    DATE = datetime(2024, 1, 1, tzinfo=timezone.utc)

    def __init__(self, kind: str, name: str, folder: Path) -> None:
        super().__init__(kind, name)
        self.folder = folder
        self.created = self.DATE
        self._listed = False

    def commit(self, revision: str = "main", *, stale: bool = False) -> Commit:
        with self.lock:
            if not self._listed:
                self._list()
                self._listed = True
            if FULL_SHA.fullmatch(revision) and revision not in self.commits and revision != NULL_SHA:
                return replace(super().commit("main"), sha=revision)
        return super().commit(revision, stale=stale)

    def _list(self) -> None:
        main, converted = {}, {}
        for path in sorted(self.folder.rglob("*")):
            inside = path.relative_to(self.folder)
            if not path.is_file() or inside.parts[0] in (".git", ".cache"):
                continue
            blob, name = Blob(path, path.stat().st_size), inside.as_posix()
            main[name] = (blob, any(_git_match(pattern, name) for pattern in LFS_PATTERNS))
            shard = re.fullmatch(r"(?:(.+)/)?([^/]+)-(\d{5})-of-\d{5}\.parquet", name)
            if self.kind == "dataset" and shard:
                config = "default" if shard[1] in (None, "data") else shard[1]
                converted[f"{config}/{shard[2]}/{int(shard[3]):04d}.parquet"] = (blob, True)
        for ref, files in (("refs/heads/main", main), ("refs/convert/parquet", converted)):
            if files or ref == "refs/heads/main":
                digest = hashlib.sha1(f"{self.kind} {self.name} {ref}\n".encode())
                for name, (blob, lfs) in files.items():
                    digest.update(f"{name} {Entry(blob, lfs, '').etag}\n".encode())
                sha = digest.hexdigest()
                self.add_commit(ref, files, author=self.namespace, title="Snapshot", date=self.DATE, sha=sha)


class Store:
    """Users, tokens and repositories. Every method may be called from any thread."""

    def __init__(self, root: Path | None = None) -> None:
        self._owned = root is None
        self.root = root or Path(tempfile.mkdtemp(prefix="hub-"))
        self.blobs = Blobs(self.root / "blobs")
        self.users: dict[str, User] = {}
        self.orgs: set[str] = set()
        self.tokens: dict[str, Identity] = {}
        self.repos: dict[tuple[str, str], Repo] = {}
        self.moved: dict[tuple[str, str], str] = {}
        self.folders: list[Path] = []
        self.lock = threading.RLock()

    def close(self) -> None:
        if self._owned:
            shutil.rmtree(self.root, ignore_errors=True)

    # Who may do what

    def may_read(self, repo: Repo, who: Identity | None) -> bool:
        return not repo.private or self._belongs(repo, who)

    def may_download(self, repo: Repo, who: Identity | None) -> bool:
        return not repo.gated or self._belongs(repo, who) or (who is not None and who.user.name in repo.granted)

    def may_write(self, namespace: str, who: Identity) -> bool:
        own = namespace == who.user.name
        return who.role == "write" and (own or who.user.orgs.get(namespace, "read") != "read")

    @staticmethod
    def _belongs(repo: Repo, who: Identity | None) -> bool:
        return who is not None and (repo.namespace == who.user.name or repo.namespace in who.user.orgs)

    # Repositories

    def find(self, kind: str, name: str) -> Repo | None:
        """A repository by its present name; None if there is none.

        Raises:
            Moved: the name is an old one.
        """
        with self.lock:
            repo = self.repos.get((kind, name))
            if repo is not None:
                return repo
            if (kind, name) in self.moved:
                raise Moved(self.moved[kind, name])
            parts = name.split("/")
            if all(part not in ("", ".", "..") for part in parts):
                for root in self.folders:
                    folder = root / f"{kind}s" / name
                    if len(parts) == 2 and folder.is_dir():
                        return self.repos.setdefault((kind, name), FolderRepo(kind, name, folder))
            return None

    def all(self, kind: str) -> list[Repo]:
        """Every repository of a type, those in folders included."""
        with self.lock:
            for root in self.folders:
                for folder in sorted((root / f"{kind}s").glob("*/*")):
                    if folder.is_dir():
                        self.find(kind, f"{folder.parent.name}/{folder.name}")
            return [repo for (its_kind, _), repo in self.repos.items() if its_kind == kind]

    def create(self, kind: str, name: str, author: str, *, private: bool = False, gated: str | bool = False) -> Repo:
        with self.lock:
            repo = Repo(kind, name, private=private, gated=gated)
            attributes = {".gitattributes": (self.blobs.add(GITATTRIBUTES.encode()), False)}
            repo.add_commit("refs/heads/main", attributes, author=author, title="initial commit")
            self.repos[kind, name] = repo
            self.moved.pop((kind, name), None)
            return repo

    def delete(self, repo: Repo) -> None:
        with self.lock:
            self.repos.pop((repo.kind, repo.name), None)
            self.moved = {old: to for old, to in self.moved.items() if (old[0], to) != (repo.kind, repo.name)}

    def in_folder(self, kind: str, name: str) -> bool:
        return any((root / f"{kind}s" / name).is_dir() for root in self.folders)

    def serve_only(self, folders: list[Path]) -> list[Path]:
        """Change the folders served; returns those served until now."""
        with self.lock:
            before, self.folders = self.folders, folders
            self.repos = {key: repo for key, repo in self.repos.items() if not isinstance(repo, FolderRepo)}
            return before

    def move(self, repo: Repo, to: str) -> None:
        """Rename; the old name, and names that led to it, redirect."""
        with self.lock:
            del self.repos[repo.kind, repo.name]
            for key, target in self.moved.items():
                if key[0] == repo.kind and target == repo.name:
                    self.moved[key] = to
            self.moved[repo.kind, repo.name] = to
            self.moved.pop((repo.kind, to), None)
            repo.name = to
            self.repos[repo.kind, to] = repo

    def fill(self, repo: Repo, files: Mapping[str, bytes | str | Path], ref: str, author: str, message: str) -> Commit:
        """Commit files without going through the protocol, to set the scene of a test."""
        changes = {}
        for path, content in files.items():
            data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
            blob = self.blobs.add(content.read_bytes() if data is None else data)
            changes[check_path(path)] = (blob, any(_git_match(pattern, path) for pattern in LFS_PATTERNS))
        return repo.add_commit(ref, changes, author=author, title=message, parent=repo.refs.get(ref))


def tags_of(card: dict, kind: str) -> list[str]:
    """The tags the Hub derives from a card."""

    def values(key: str) -> Iterable[str]:
        value = card.get(key) or []
        return [value] if isinstance(value, str) else [item for item in value if isinstance(item, str)]

    tags = [*values("tags"), *values("library_name"), *values("language"), *values("pipeline_tag")]
    named = {"license": "license", "datasets": "dataset", "base_model": "base_model"}
    if kind == "dataset":
        named |= {"task_categories": "task_categories", "task_ids": "task_ids", "size_categories": "size_categories"}
    tags += [f"{name}:{value}" for key, name in named.items() for value in values(key)]
    return list(dict.fromkeys(tags))
