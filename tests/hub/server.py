"""The sockets of the test Hub, and the object that tests hold."""

from __future__ import annotations

import secrets
import socket
import struct
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from tests.hub.api import Answer, Call, find_route, refusal
from tests.hub.faults import Fault, Faults, Request, RequestLog
from tests.hub.store import CHUNK, Blob, HubError, Identity, Moved, Repo, Store, User


@dataclass
class Limits:
    """Sizes the Hub sets; tests may lower them. Bytes, or items."""

    tree_page: int = 1000
    tree_page_expanded: int = 50
    commits_page: int = 50
    list_page: int = 1000
    regular_bytes: int = 10 * 1024**2  # a larger file goes through LFS whatever its name
    multipart_bytes: int = 512 * 1024**2  # an LFS file larger than this goes up in parts of this size; 0: never
    lfs_bytes: int = 50 * 1024**3
    preupload_files: int = 256


class Hub:
    """The Hub on loopback: ``url`` for HF_ENDPOINT, ``token`` for HF_TOKEN, and hands on what tests set and count.

    LFS files go through a second port, as they go through another host on the real Hub: ``resolve`` redirects there,
    uploads are sent there, and neither takes a token.
    """

    def __init__(self, *, user: str = "user", token: str | None = None, port: int = 0) -> None:
        self.store = Store()
        self.faults, self.requests, self.limits = Faults(), RequestLog(), Limits()
        self.secret = secrets.token_bytes(16)
        self.cdn_blobs: dict[str, Blob] = {}
        self.parts: dict[tuple, tuple[Path, str]] = {}
        self.user = user
        self.token = self.add_user(user, token=token)
        self._servers = [_Server(self, port), _Server(self, 0)]
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def start(self) -> Hub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), name="hub", daemon=True).start()
        return self

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self.store.close()

    def __enter__(self) -> Hub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget faults, requests and changed limits; repositories stay."""
        self.faults.clear()
        self.requests.clear()
        self.limits = Limits()

    # Setting the scene

    def name(self, stem: str = "repo", owner: str | None = None) -> str:
        """A repository id nobody has used: caches are keyed by repository name."""
        return f"{owner or self.user}/{stem}-{uuid.uuid4().hex[:8]}"

    def add_user(
        self, name: str, *, role: str = "write", orgs: Mapping[str, str] = {}, token: str | None = None
    ) -> str:
        """A user, or one more token for a user; returns the token. ``role`` is of the token: read or write."""
        if role not in ("read", "write"):
            raise ValueError(f"role is read or write, got {role!r}")
        token = token or f"hf_{secrets.token_hex(17)}"
        with self.store.lock:
            user = self.store.users.setdefault(name, User(name))
            user.orgs.update(orgs)
            self.store.tokens[token] = Identity(user, role)
        return token

    def add_org(self, name: str, members: Mapping[str, str]) -> None:
        """An organisation: user -> role (admin, write, contributor, read). Users not known yet are made."""
        with self.store.lock:
            for member, role in members.items():
                if role not in ("admin", "write", "contributor", "read"):
                    raise ValueError(f"role is admin, write, contributor or read, got {role!r}")
                self.store.users.setdefault(member, User(member)).orgs[name] = role

    def add_repo(
        self,
        name: str,
        files: Mapping[str, bytes | str | Path] = {},
        *,
        repo_type: str = "model",
        private: bool = False,
        gated: str | bool = False,
        revision: str = "main",
        message: str = "Add files",
    ) -> Repo:
        """Make a repository in any namespace, or one more commit in one, without the protocol.

        Args:
            name: "namespace/name".
            files: path -> content (bytes, text, or a file to copy).
            repo_type: model, dataset or space.
            private, gated: of a new repository; ``gated`` is False, "auto" or "manual".
            revision: branch or full reference such as "refs/convert/parquet"; made if new.
            message: title of the commit.
        """
        author = name.partition("/")[0]
        if name.count("/") != 1:
            raise ValueError(f'a repository is named "namespace/name", got {name!r}')
        with self.store.lock:
            if self.store.in_folder(repo_type, name):
                raise ValueError(f"{repo_type} {name} is served from a folder; use hub.only_folder(...) to replace it")
            repo = self.store.repos.get((repo_type, name))
            if repo is None:
                repo = self.store.create(repo_type, name, author, private=private, gated=gated)
            ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
            if files:
                self.store.fill(repo, files, ref, author, message)
            return repo

    def serve_folder(self, root: str | Path) -> None:
        """Serve ``root/{models,datasets,spaces}/<namespace>/<name>/`` as public read-only repositories."""
        self.store.folders.append(Path(root).resolve())

    @contextmanager
    def only_folder(self, root: str | Path) -> Iterator[None]:
        """Serve this folder and no other, the mirror neither, for the length of a with block."""
        before = self.store.serve_only([Path(root).resolve()])
        try:
            yield
        finally:
            self.store.serve_only(before)

    def repo(self, name: str, repo_type: str = "model") -> Repo:
        """A repository, to look at what was stored: ``files()``, ``read(path)``, ``history()``, ``refs``."""
        repo = self.store.find(repo_type, name)
        if repo is None:
            raise KeyError(f"no {repo_type} {name!r} on the test Hub")
        return repo

    def remove(self, name: str, repo_type: str = "model") -> None:
        """Forget a repository, and a redirection from its name."""
        self.store.repos.pop((repo_type, name), None)
        self.store.moved.pop((repo_type, name), None)

    def move(self, name: str, to: str, repo_type: str = "model") -> None:
        """Rename a repository; the old name redirects. A name that never was one also may redirect: ``glue``."""
        repo = self.store.repos.get((repo_type, name))
        if repo is None:
            self.store.moved[repo_type, name] = to
        else:
            self.store.move(repo, to)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks its own name up in the DNS here; nobody reads it.
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "TestHub"
    wbufsize = -1  # with unbuffered writes and Nagle's algorithm each request takes 40 ms
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        hub = self.server.hub
        found = find_route(self.command, path)
        who = self._identity()
        request = Request(
            method=self.command,
            path=unquote(path),
            query=unquote(query),
            route=found[1] if found else None,
            user=who.user.name if isinstance(who, Identity) else None,
            range=self.headers.get("Range"),
            agent=self.headers.get("User-Agent", ""),
        )
        fault = request.fault = hub.faults.take(request)
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.reset and not fault.applied:
            hub.requests.append(request)
            return self._reset()
        upload: Path | None = None
        try:
            body, upload = self._body(to_disk=self.command == "PUT" and request.route in ("lfs_upload", "lfs_part"))
            request.received = upload.stat().st_size if upload else len(body)
            if fault and fault.status and not fault.applied:
                answer = self._failure(fault)
            else:
                answer = self._answer(path, query, found, who, body, upload, stale=bool(fault and fault.stale))
                if fault and fault.status:
                    answer = self._failure(fault)
        except ConnectionError:
            self.close_connection = True
            return None
        finally:
            if upload:
                upload.unlink(missing_ok=True)
        request.status = None if fault and fault.reset else answer.status
        hub.requests.append(request)
        if fault and fault.reset:
            return self._reset()
        return self._send(answer, fault)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def log_message(self, *_: object) -> None:
        """Silent; ``hub.requests`` is the log."""

    def _identity(self) -> Identity | HubError | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        known = self.server.hub.store.tokens.get(token.strip())
        return known or HubError(401, "Invalid credentials in Authorization header")

    def _body(self, to_disk: bool) -> tuple[bytes, Path | None]:
        """The body in memory, or in a file. Raises ConnectionError when the client stops in the middle."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = self._chunks()
        else:
            pieces = self._pieces(int(self.headers.get("Content-Length") or 0))
        if not to_disk:
            return b"".join(pieces), None
        path = self.server.hub.store.blobs.temporary()
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
        except ConnectionError:
            path.unlink()
            raise
        return b"", path

    def _pieces(self, left: int):
        while left:
            piece = self.rfile.read(min(CHUNK, left))
            if not piece:
                raise ConnectionError("the client stopped in the middle of a body")
            left -= len(piece)
            yield piece

    def _chunks(self):
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield from self._pieces(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _answer(self, path: str, query: str, found, who, body: bytes, upload: Path | None, *, stale: bool) -> Answer:
        try:
            if isinstance(who, HubError):
                raise who
            if found is None:
                raise HubError(404, f"Sorry, we can't find the page {path} ({self.command}) on the test Hub")
            endpoint, _, match = found
            groups = {key: None if value is None else unquote(value) for key, value in match.groupdict().items()}
            call = Call(
                hub=self.server.hub,
                method=self.command,
                path=path,
                query=parse_qsl(query, keep_blank_values=True),
                headers=self.headers,
                body=body,
                upload=upload,
                who=who,
                groups=groups,
                stale=stale,
            )
            return endpoint(call)
        except HubError as error:
            return refusal(error)
        except Moved as moved:
            if "id" not in match.groupdict():
                return refusal(HubError(404, f"The repository is named {moved.to} now", "RepoNotFound"))
            start, end = match.span("id")
            place = path[:start] + quote(moved.to) + path[end:] + (f"?{query}" if query else "")
            return Answer(307, b"", {"Location": place})
        except Exception:  # a bug of the test Hub: shown to the client, whose test then fails
            return refusal(HubError(500, f"The test Hub failed:\n{traceback.format_exc()}"))

    @staticmethod
    def _failure(fault: Fault) -> Answer:
        answer = refusal(HubError(fault.status or 500, f"Injected fault: {fault.status}"))
        if fault.retry_after is not None:
            answer.headers["Retry-After"] = f"{fault.retry_after:g}"
        return answer

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        length = answer.length if answer.blob else len(answer.body)
        self.send_response(answer.status)
        for key, value in {**answer.headers, "X-Request-Id": uuid.uuid4().hex, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = fault is not None and fault.truncate is not None and fault.truncate < length
        if cut:
            length = fault.truncate or 0
        try:
            if answer.blob is None:
                self.wfile.write(answer.body[:length])
            elif length:
                self.wfile.flush()
                with answer.blob.path.open("rb") as file:
                    self.connection.sendfile(file, answer.start, length)
            self.wfile.flush()
        except OSError:
            cut = True
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        """Close without an answer and without a farewell: the client sees the connection reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
