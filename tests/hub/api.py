"""The Hub's endpoints: one function each, from a parsed request to an answer. No sockets here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import yaml

from tests.hub.store import (
    Blob,
    Commit,
    Entry,
    HubError,
    Identity,
    Moved,
    Repo,
    check_card,
    check_path,
    front_matter,
    stamp,
    tags_of,
)

if TYPE_CHECKING:
    from tests.hub.server import Hub

NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(?<![.-])")


@dataclass
class Answer:
    """Status, headers, and a body: bytes, or a part of a blob."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    blob: Blob | None = None
    start: int = 0
    length: int = 0  # bytes of the blob to send


@dataclass
class Call:
    """A request on its way through an endpoint."""

    hub: Hub
    method: str
    path: str  # as sent, quoted, without query
    query: list[tuple[str, str]]
    headers: Any
    body: bytes
    upload: Path | None  # where the body of an LFS upload lies
    who: Identity | None
    groups: dict[str, str | None]
    stale: bool

    def get(self, key: str, default: str | None = None) -> str | None:
        return next((value for name, value in self.query if name == key), default)

    def all(self, key: str) -> list[str]:
        """Every value of a parameter, also when written ``key[]`` or separated by commas."""
        return [part for name, value in self.query if name in (key, f"{key}[]") for part in value.split(",")]

    def flag(self, key: str) -> bool:
        return (self.get(key) or "").lower() in ("true", "1")

    @property
    def kind(self) -> str:
        return (self.groups.get("kind") or "models").rstrip("/")[:-1]

    @property
    def revision(self) -> str:
        return self.groups.get("rev") or "main"

    def json(self) -> dict:
        try:
            data = json.loads(self.body or b"{}")
        except ValueError as error:
            raise HubError(400, f"Invalid JSON in request: {error}") from None
        if not isinstance(data, dict):
            raise HubError(400, "Invalid JSON in request: expected an object")
        return data

    def repo(self, *, write: bool = False, download: bool = False) -> Repo:
        """The repository of the path, if the caller may see (and write or download) it."""
        return self.named_repo(self.kind, self.groups["id"] or "", write=write, download=download)

    def named_repo(self, kind: str, name: str, *, write: bool = False, download: bool = False) -> Repo:
        store = self.hub.store
        repo = store.find(kind, name)
        if repo is None or not store.may_read(repo, self.who):
            raise HubError(404 if self.who else 401, "Repository not found", "RepoNotFound")
        if download and not store.may_download(repo, self.who):
            url = f"{self.hub.url}/{prefix(kind)}{name}"
            what = "You must have access to it and be authenticated" if self.who is None else "Ask for access"
            raise HubError(
                403 if self.who else 401, f"Access to {kind} {name} is restricted. {what}: {url}", "GatedRepo"
            )
        if write:
            if self.who is None:
                raise HubError(401, "Invalid username or password.")
            if not store.may_write(repo.namespace, self.who):
                raise HubError(403, f"{self.who.user.name} has no write access to {kind} {name}")
            if repo.read_only:
                raise HubError(403, f"{kind} {name} is served from a folder, read-only")
        return repo

    def user(self) -> Identity:
        if self.who is None:
            raise HubError(401, "Invalid username or password.")
        return self.who

    def commit(self, repo: Repo, revision: str | None = None) -> Commit:
        return repo.commit(revision or self.revision, stale=self.stale)


Endpoint = Callable[[Call], Answer]
ROUTES: list[tuple[str, re.Pattern, Endpoint, str]] = []

PARTS = {
    "{repo}": r"/api/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+(?:/[^/]+)??)",
    "{page}": r"/(?P<kind>datasets/|spaces/)?(?P<id>[^/]+(?:/[^/]+)??)",
    "{rev}": r"(?P<rev>[^/]+)",
    "{name}": r"(?P<name>[^/]+)",
    "{path}": r"(?P<path>.+)",
}


def route(method: str, pattern: str, name: str) -> Callable[[Endpoint], Endpoint]:
    for part, expression in PARTS.items():
        pattern = pattern.replace(part, expression)

    def register(endpoint: Endpoint) -> Endpoint:
        ROUTES.append((method, re.compile(pattern), endpoint, name))
        return endpoint

    return register


def find_route(method: str, path: str) -> tuple[Endpoint, str, re.Match] | None:
    wanted = "GET" if method == "HEAD" else method
    for its_method, pattern, endpoint, name in ROUTES:
        if its_method == wanted and (match := pattern.fullmatch(path)):
            return endpoint, name, match
    return None


def reply(data: object, status: int = 200, **headers: str) -> Answer:
    body = json.dumps(data, default=str).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8", **headers})


def refusal(error: HubError) -> Answer:
    headers = {"X-Error-Message": re.sub(r"[^ -~]+", " ", error.message), **error.headers}
    if error.code:
        headers["X-Error-Code"] = error.code
    return reply({"error": error.message, **error.body}, error.status, **headers)


def prefix(kind: str) -> str:
    return "" if kind == "model" else f"{kind}s/"


def paged(call: Call, items: list, limit: int) -> tuple[list, dict[str, str]]:
    """A page of a list, and the Link header to the next one."""
    cursor = call.get("cursor") or ""
    try:
        start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError:
        raise HubError(400, f"Invalid cursor: {cursor}") from None
    if start + limit >= len(items):
        return items[start:], {}
    query = [(key, value) for key, value in call.query if key != "cursor"]
    query.append(("cursor", base64.urlsafe_b64encode(str(start + limit).encode()).decode()))
    link = f'<{call.hub.url}{call.path}?{urlencode(query)}>; rel="next"'
    return items[start : start + limit], {"Link": link}


# Who


@route("GET", "/api/whoami-v2", "whoami")
def whoami(call: Call) -> Answer:
    who = call.user()
    orgs = [{"type": "org", "name": name, "fullname": name, "roleInOrg": role} for name, role in who.user.orgs.items()]
    name = who.user.name
    auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": who.role}}
    mail = {"email": f"{name}@example.org", "emailVerified": True}
    return reply({"type": "user", "id": name, "name": name, "fullname": name, **mail, "orgs": orgs, "auth": auth})


# Repositories


@route("POST", "/api/repos/create", "create")
def create(call: Call) -> Answer:
    who, data, store = call.user(), call.json(), call.hub.store
    kind, namespace = data.get("type") or "model", data.get("organization") or who.user.name
    if not isinstance(data.get("name"), str) or not NAME.fullmatch(data["name"]):
        raise HubError(400, f"Invalid repository name: {data.get('name')!r}")
    name = f"{namespace}/{data['name']}"
    url = f"{call.hub.url}/{prefix(kind)}{name}"
    if not store.may_write(namespace, who):
        raise HubError(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    with store.lock:
        try:
            taken = store.find(kind, name) is not None
        except Moved:
            taken = False
        if taken:
            raise HubError(409, f"You already created this {kind} repo: {name}", url=url)
        private = bool(data.get("private")) or data.get("visibility") == "private"
        store.create(kind, name, who.user.name, private=private)
    return reply({"url": url, "name": name, "id": name})


@route("DELETE", "/api/repos/delete", "delete")
def delete(call: Call) -> Answer:
    data = call.json()
    name = f"{data.get('organization') or call.user().user.name}/{data.get('name')}"
    call.hub.store.delete(call.named_repo(data.get("type") or "model", name, write=True))
    return Answer()


@route("POST", "/api/repos/move", "move")
def move(call: Call) -> Answer:
    data, store = call.json(), call.hub.store
    kind, to = data.get("type") or "model", str(data.get("toRepo"))
    repo = call.named_repo(kind, str(data.get("fromRepo")), write=True)
    namespace, _, name = to.rpartition("/")
    if not NAME.fullmatch(name):
        raise HubError(400, f"Invalid repository name: {to!r}")
    if not store.may_write(namespace, call.user()):
        raise HubError(403, f"{call.user().user.name} has no write access to {namespace}")
    with store.lock:
        if (kind, to) in store.repos:
            raise HubError(409, f"{kind} {to} already exists")
        store.move(repo, to)
    return Answer()


@route("PUT", "{repo}/settings", "settings")
def settings(call: Call) -> Answer:
    repo, data = call.repo(write=True), call.json()
    if "private" in data or "visibility" in data:
        repo.private = bool(data.get("private")) or data.get("visibility") == "private"
    if "gated" in data:
        if data["gated"] not in (False, "auto", "manual"):
            raise HubError(400, f"Invalid value for gated: {data['gated']!r}")
        repo.gated = data["gated"]
    return reply({"private": repo.private, "gated": repo.gated})


@route("GET", "{repo}/auth-check", "auth_check")
def auth_check(call: Call) -> Answer:
    call.repo(download=True)
    return reply({})


@lru_cache(maxsize=4096)
def card_of(blob: Blob) -> dict:
    try:
        data = front_matter(blob.read().decode("utf-8", "replace"))
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def describe(repo: Repo, commit: Commit, *, siblings: bool, blobs: bool = False, config: bool = True) -> dict:
    """A repository as the API tells it."""
    readme = commit.files.get("README.md")
    card = card_of(readme.blob) if readme else {}
    data = {
        "_id": hashlib.sha1(repo.name.encode()).hexdigest()[:24],
        "id": repo.name,
        "author": repo.namespace,
        "sha": commit.sha,
        "lastModified": stamp(commit.date),
        "createdAt": stamp(repo.created),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags_of(card, repo.kind),
        "cardData": card,
    }
    if repo.kind == "model":
        data["modelId"] = repo.name
        data |= {key: card[key] for key in ("pipeline_tag", "library_name") if key in card}
        entry = commit.files.get("config.json")
        if config and entry:
            try:
                data["config"] = json.loads(entry.blob.read())
            except ValueError:
                data["config"] = None
    if siblings:
        data["siblings"] = [
            {"rfilename": path, **(sizes(entry) if blobs else {})} for path, entry in sorted(commit.files.items())
        ]
        data["usedStorage"] = sum({entry.blob.path: entry.blob.size for entry in commit.files.values()}.values())
    return data


def sizes(entry: Entry) -> dict:
    lfs = {"lfs": {"sha256": entry.blob.sha256, "size": entry.blob.size, "pointerSize": len(entry.blob.pointer)}}
    return {"size": entry.blob.size, "blobId": entry.oid, **(lfs if entry.lfs else {})}


def only(data: dict, fields: list[str]) -> dict:
    return {key: value for key, value in data.items() if key in (*fields, "id", "_id")} if fields else data


@route("GET", "{repo}/revision/{rev}", "info")
def info(call: Call) -> Answer:
    repo = call.repo()
    data = describe(repo, call.commit(repo), siblings=True, blobs=call.flag("blobs"))
    return reply(only(data, call.all("expand")))


@route("GET", "/api/(?P<kind>models|datasets|spaces)", "list")
def list_repos(call: Call) -> Answer:
    store = call.hub.store
    repos = [repo for repo in store.all(call.kind) if store.may_read(repo, call.who)]
    if author := call.get("author"):
        repos = [repo for repo in repos if repo.namespace == author]
    for word in call.all("search"):
        repos = [repo for repo in repos if word.lower() in repo.name.lower()]
    full = call.flag("full")
    items = [describe(repo, call.commit(repo, "main"), siblings=full, config=call.flag("config")) for repo in repos]
    for tag in call.all("filter"):
        items = [item for item in items if tag in item["tags"]]
    key = call.get("sort") or "createdAt"
    if key not in ("createdAt", "lastModified", "downloads", "likes", "trendingScore"):
        raise HubError(400, f"Invalid sort: {key!r}")
    items.sort(key=lambda item: (item.get(key, 0), item["id"]), reverse=True)
    page = call.hub.limits.list_page
    items, headers = paged(call, items, min(int(call.get("limit") or page), page))
    if not full and not call.flag("cardData"):
        for item in items:
            item.pop("cardData")
    return reply([only(item, call.all("expand")) for item in items], **headers)


# References and history


@route("GET", "{repo}/refs", "refs")
def refs(call: Call) -> Answer:
    repo = call.repo()
    call.commit(repo, "main")  # lets a folder be listed
    data: dict[str, list] = {"branches": [], "tags": [], "converts": []}
    kinds = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/convert/": "converts"}
    if call.flag("include_prs"):
        kinds["refs/pr/"], data["pullRequests"] = "pullRequests", []
    with repo.lock:
        items = sorted(repo.refs.items())
    for ref, sha in items:
        for start, group in kinds.items():
            if ref.startswith(start):
                data[group].append({"name": ref.removeprefix(start), "ref": ref, "targetCommit": sha})
    return reply(data)


@route("GET", "{repo}/commits/{rev}", "commits")
def commits(call: Call) -> Answer:
    repo = call.repo()
    history = repo.history(call.commit(repo).sha)
    page, headers = paged(call, history, call.hub.limits.commits_page)
    items = []
    for commit in page:
        item = {"id": commit.sha, "title": commit.title, "message": commit.message, "date": stamp(commit.date)}
        item["authors"] = [{"user": commit.author}]
        if "formatted" in call.all("expand"):
            item["formatted"] = {"title": f"<p>{commit.title}</p>", "message": commit.message}
        items.append(item)
    return reply(items, **headers)


def add_ref(repo: Repo, ref: str, start: str) -> Answer:
    with repo.lock:
        if ref in repo.refs:
            raise HubError(409, f"Reference already exists: {ref}")
        repo.refs[ref] = repo.commit(start).sha
    return reply({})


def drop_ref(repo: Repo, ref: str) -> Answer:
    with repo.lock:
        if ref not in repo.refs:
            raise HubError(404, f"Invalid rev id: {ref}", "RevisionNotFound")
        del repo.refs[ref]
    return reply({})


@route("POST", "{repo}/branch/{name}", "branch")
def add_branch(call: Call) -> Answer:
    name = call.groups["name"] or ""
    ref = name if name.startswith("refs/") else f"refs/heads/{name}"
    return add_ref(call.repo(write=True), ref, call.json().get("startingPoint") or "main")


@route("DELETE", "{repo}/branch/{name}", "branch")
def drop_branch(call: Call) -> Answer:
    name = call.groups["name"] or ""
    if name == "main":
        raise HubError(403, "Cannot delete the default branch")
    return drop_ref(call.repo(write=True), name if name.startswith("refs/") else f"refs/heads/{name}")


@route("POST", "{repo}/tag/{rev}", "tag")
def add_tag(call: Call) -> Answer:
    tag = call.json().get("tag")
    if not isinstance(tag, str) or not tag:
        raise HubError(400, f"Invalid tag: {tag!r}")
    return add_ref(call.repo(write=True), f"refs/tags/{tag}", call.revision)


@route("DELETE", "{repo}/tag/{name}", "tag")
def drop_tag(call: Call) -> Answer:
    return drop_ref(call.repo(write=True), f"refs/tags/{call.groups['name']}")


@route("POST", "{repo}/super-squash/{rev}", "super_squash")
def super_squash(call: Call) -> Answer:
    repo, who = call.repo(write=True), call.user()
    with repo.lock:
        ref, head = repo.full_ref(call.revision), repo.commit(call.revision)
        if ref is None or ref.startswith("refs/tags/"):
            raise HubError(404, f"Invalid rev id: {call.revision}", "RevisionNotFound")
        changes = {path: (entry.blob, entry.lfs) for path, entry in head.files.items()}
        title = call.json().get("message") or "Super-squash"
        repo.add_commit(ref, changes, author=who.user.name, title=title)
    return reply({})


# Listings


def row(path: str, entry: Entry, repo: Repo, expand: bool) -> dict:
    data: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.blob.size, "path": path}
    if entry.lfs:
        data["lfs"] = {
            "oid": entry.blob.sha256,
            "size": entry.blob.size,
            "pointerSize": len(entry.blob.pointer),
        }
    if expand:
        data["lastCommit"] = last_commit(repo, entry)
        data["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
    return data


def last_commit(repo: Repo, entry: Entry) -> dict:
    commit = repo.commits[entry.commit]
    return {"id": commit.sha, "title": commit.title, "date": stamp(commit.date)}


def folder_row(folder: str, commit: Commit, repo: Repo, expand: bool) -> dict:
    inside = {path: entry for path, entry in commit.files.items() if path.startswith(f"{folder}/")}
    listing = "\n".join(f"{path} {entry.oid}" for path, entry in sorted(inside.items()))
    data: dict[str, Any] = {"type": "directory", "oid": hashlib.sha1(listing.encode()).hexdigest(), "size": 0}
    data["path"] = folder
    if expand:
        newest = max(inside.values(), key=lambda entry: repo.commits[entry.commit].date)
        data["lastCommit"] = last_commit(repo, newest)
    return data


@route("GET", "{repo}/tree/{rev}(?:/{path}?)?", "tree")
def tree(call: Call) -> Answer:
    repo = call.repo()
    commit = call.commit(repo)
    inside, expand = (call.groups["path"] or "").strip("/"), call.flag("expand")
    start = f"{inside}/" if inside else ""
    folders = commit.folders()
    if inside and inside not in folders:
        raise HubError(404, f'{inside} does not exist on "{call.revision}"', "EntryNotFound")
    paths = [path for path in {*commit.files, *folders} if path.startswith(start)]
    if not call.flag("recursive"):
        paths = [path for path in paths if "/" not in path[len(start) :]]
    page, headers = paged(
        call, sorted(paths), call.hub.limits.tree_page_expanded if expand else call.hub.limits.tree_page
    )
    rows = [
        row(path, commit.files[path], repo, expand) if path in commit.files else folder_row(path, commit, repo, expand)
        for path in page
    ]
    return reply(rows, **headers)


@route("POST", "{repo}/paths-info/{rev}", "paths_info")
def paths_info(call: Call) -> Answer:
    repo = call.repo()
    commit = call.commit(repo)
    if "json" in call.headers.get("Content-Type", ""):
        data = call.json()
        paths, expand = data.get("paths", []), bool(data.get("expand"))
    else:
        form = parse_qsl(call.body.decode())
        paths = [value for key, value in form if key == "paths"]
        expand = dict(form).get("expand", "").lower() in ("true", "1")
    rows, folders = [], commit.folders()
    for path in dict.fromkeys(path.strip("/") for path in paths):
        if path in commit.files:
            rows.append(row(path, commit.files[path], repo, expand))
        elif path in folders:
            rows.append(folder_row(path, commit, repo, expand))
    return reply(rows)


# Downloads


@route("GET", "{page}/(?:resolve|raw)/{rev}/{path}", "resolve")
def resolve(call: Call) -> Answer:
    repo = call.repo(download=True)
    commit = call.commit(repo)
    path = call.groups["path"] or ""
    known = {"X-Repo-Commit": commit.sha}
    entry = commit.files.get(path)
    if entry is None:
        error = HubError(404, f'Entry not found: {path} on "{call.revision}"', "EntryNotFound")
        error.headers = known
        raise error
    if entry.lfs:
        place = f"/cdn/{repo.kind}s/{repo.name}/{entry.blob.sha256}/{quote(path.rpartition('/')[2])}"
        call.hub.cdn_blobs[place] = entry.blob
        known |= {"X-Linked-Etag": f'"{entry.blob.sha256}"', "X-Linked-Size": str(entry.blob.size)}
        known["Location"] = call.hub.cdn_url + signed(call.hub, place)
        return Answer(302, b"", known)
    return send(call, entry.blob, {**known, "ETag": f'"{entry.etag}"'}, path)


def send(call: Call, blob: Blob, headers: dict[str, str], path: str) -> Answer:
    """A blob or the range of it that was asked for."""
    name = path.rpartition("/")[2]
    headers |= {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";"
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range") or "")
    if match is None or not any(match.groups()):
        return Answer(200, b"", headers, blob, 0, blob.size)
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) if match[2] else blob.size, blob.size - 1)
    else:
        start, end = max(0, blob.size - int(match[2])), blob.size - 1
    if start > end:
        headers["Content-Range"] = f"bytes */{blob.size}"
        return Answer(416, b"", headers)
    headers["Content-Range"] = f"bytes {start}-{end}/{blob.size}"
    return Answer(206, b"", headers, blob, start, end - start + 1)


def signed(hub: Hub, path: str) -> str:
    """A path that opens without a token, as the addresses of the Hub's storage do."""
    return f"{path}?signature={hmac.new(hub.secret, path.encode(), 'sha256').hexdigest()}"


def check_signature(call: Call) -> None:
    expected = signed(call.hub, call.path).rpartition("=")[2]
    if not hmac.compare_digest(call.get("signature") or "", expected):
        raise HubError(403, "Signature does not match")


@route("GET", "/cdn/{path}", "cdn")
def cdn(call: Call) -> Answer:
    check_signature(call)
    sha256, name = call.path.split("/")[-2:]
    return send(call, call.hub.cdn_blobs[call.path], {"ETag": f'"{sha256}"'}, unquote(name))


# Uploads


@route("POST", "/api/validate-yaml", "validate_yaml")
def validate_yaml(call: Call) -> Answer:
    data = call.json()
    errors, warnings = check_card(str(data.get("content", "")), data.get("repoType") or "model")
    lists = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return reply(lists, 400 if errors else 200)


@route("POST", "{repo}/preupload/{rev}", "preupload")
def preupload(call: Call) -> Answer:
    repo = call.repo(write=True)
    commit, data, limits = call.commit(repo), call.json(), call.hub.limits
    files = data.get("files", [])
    if len(files) > limits.preupload_files:
        raise HubError(413, f"{len(files)} files in one preupload request, at most {limits.preupload_files}")
    answers = []
    for file in files:
        path, size, sample = file["path"], int(file["size"]), base64.b64decode(file.get("sample", ""))
        known = commit.files.get(path)
        lfs = repo.uses_lfs(path, size, sample, commit, limits.regular_bytes)
        answer = {"path": path, "uploadMode": "lfs" if lfs else "regular"}
        answer["shouldIgnore"] = repo.ignores(path, commit, data.get("gitIgnore"))
        answers.append(answer | ({"oid": known.etag} if known else {}))
    return reply({"files": answers, "commitOid": commit.sha})


def upload_place(repo: Repo, oid: str) -> str:
    return f"/upload/{repo.kind}s/{repo.name}/{oid}"


@route("POST", r"{page}\.git/info/lfs/objects/batch", "lfs_batch")
def lfs_batch(call: Call) -> Answer:
    repo, hub, data = call.repo(write=True), call.hub, call.json()
    if data.get("operation") != "upload":
        raise HubError(400, f"Unknown LFS operation: {data.get('operation')!r}")
    multipart = "multipart" in data.get("transfers", ["basic"]) and hub.limits.multipart_bytes
    objects, used = [], "basic"
    for wanted in data.get("objects", []):
        oid, size = str(wanted.get("oid")), wanted.get("size")
        answer: dict[str, Any] = {"oid": oid, "size": size}
        objects.append(answer)
        if not re.fullmatch(r"[0-9a-f]{64}", oid) or not isinstance(size, int):
            answer["error"] = {"code": 422, "message": f"invalid oid or size: {oid!r}, {size!r}"}
        elif size > hub.limits.lfs_bytes:
            answer["error"] = {"code": 422, "message": f"file of {size} bytes is larger than {hub.limits.lfs_bytes}"}
        elif oid not in repo.lfs:
            place = upload_place(repo, oid)
            upload: dict[str, Any] = {"href": hub.cdn_url + signed(hub, place)}
            if multipart and size > hub.limits.multipart_bytes:
                used, parts = "multipart", -(-size // hub.limits.multipart_bytes)
                upload["header"] = {"chunk_size": str(hub.limits.multipart_bytes)}
                for part in range(1, parts + 1):
                    upload["header"][f"{part:05d}"] = hub.cdn_url + signed(hub, f"{place}/{part}")
            verify = f"{hub.url}/{prefix(repo.kind)}{repo.name}.git/info/lfs/objects/verify"
            answer["actions"] = {"upload": upload, "verify": {"href": verify}}
    return reply({"transfer": used, "objects": objects})


def uploaded(call: Call) -> tuple[Path, str, int]:
    """The body of an upload on disk, its sha256 and its size; refused when fewer bytes came than announced."""
    if call.upload is None:
        raise HubError(411, "Length required")
    blob = Blob(call.upload, call.upload.stat().st_size)
    return blob.path, blob.sha256, blob.size


def upload_repo(call: Call) -> Repo:
    check_signature(call)
    repo = call.hub.store.find(call.kind, call.groups["id"] or "")
    if repo is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return repo


@route("PUT", r"/upload/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})", "lfs_upload")
def lfs_upload(call: Call) -> Answer:
    repo, oid = upload_repo(call), call.groups["oid"] or ""
    path, sha256, size = uploaded(call)
    if sha256 != oid:
        raise HubError(400, f"{size} bytes with sha256 {sha256} were sent as {oid}")
    call.hub.store.blobs.adopt(path, sha256)
    repo.lfs.add(sha256)
    return Answer(200, b"", {"ETag": f'"{sha256}"'})


PART = r"/upload/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})/(?P<part>\d+)"


@route("PUT", PART, "lfs_part")
def lfs_part(call: Call) -> Answer:
    repo = upload_repo(call)
    path, sha256, _ = uploaded(call)
    kept = call.hub.store.blobs.temporary()
    path.replace(kept)
    call.hub.parts[repo.kind, repo.name, call.groups["oid"], int(call.groups["part"] or 0)] = (kept, sha256)
    return Answer(200, b"", {"ETag": f'"{sha256}"'})


@route("POST", r"/upload/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})", "lfs_complete")
def lfs_complete(call: Call) -> Answer:
    repo, hub, oid = upload_repo(call), call.hub, call.groups["oid"] or ""
    whole, digest = hub.store.blobs.temporary(), hashlib.sha256()
    with whole.open("wb") as file:
        for number, part in enumerate(call.json().get("parts", []), 1):
            kept, etag = hub.parts.pop((repo.kind, repo.name, oid, number), (None, ""))
            if kept is None or part.get("partNumber") != number or str(part.get("etag")).strip('"') != etag:
                raise HubError(400, f"part {number} of {oid} is missing or its ETag differs")
            content = kept.read_bytes()
            kept.unlink()
            file.write(content)
            digest.update(content)
    if digest.hexdigest() != oid:
        whole.unlink()
        raise HubError(400, f"the parts have sha256 {digest.hexdigest()}, not {oid}")
    hub.store.blobs.adopt(whole, oid)
    repo.lfs.add(oid)
    return reply({})


@route("POST", r"{page}\.git/info/lfs/objects/verify", "lfs_verify")
def lfs_verify(call: Call) -> Answer:
    repo, data = call.repo(write=True), call.json()
    oid = str(data.get("oid"))
    if oid not in repo.lfs:
        raise HubError(404, f"LFS object {oid} was not uploaded")
    if call.hub.store.blobs.get(oid).size != data.get("size"):
        raise HubError(422, f"LFS object {oid} has another size than {data.get('size')}")
    return reply({})


@route("POST", "{repo}/commit/{rev}", "commit")
def commit(call: Call) -> Answer:
    repo, who, store = call.repo(write=True), call.user(), call.hub.store
    header: dict[str, Any] = {}
    changes: dict[str, tuple[Blob, bool] | None] = {}
    gone: list[tuple[str, str]] = []
    for number, line in enumerate(filter(None, call.body.split(b"\n")), 1):
        try:
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                header = value
            elif key == "file":
                if value.get("encoding") != "base64":
                    raise HubError(400, f"unknown encoding {value.get('encoding')!r}")
                content = base64.b64decode(value["content"], validate=True)
                changes[check_path(value["path"])] = (store.blobs.add(content), False)
            elif key == "lfsFile":
                if value["oid"] not in repo.lfs:
                    raise HubError(400, f"LFS pointer pointed to a file that does not exist: {value['oid']}")
                changes[check_path(value["path"])] = (store.blobs.get(value["oid"]), True)
            elif key in ("deletedFile", "deletedFolder"):
                gone.append((key, value["path"]))
            else:
                raise HubError(400, f"unknown key {key!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise HubError(400, f"Invalid line {number} of the commit: {error!r}") from None
    if not header.get("summary"):
        raise HubError(400, "A commit needs a summary")
    readme = changes.get("README.md")
    if readme and (errors := check_card(readme[0].read().decode("utf-8", "replace"), repo.kind)[0]):
        raise HubError(400, "Invalid metadata in README.md: " + "; ".join(errors))
    with repo.lock:
        ref, head = repo.full_ref(call.revision), repo.commit(call.revision)
        if ref is None or ref.startswith("refs/tags/"):
            raise HubError(404, f"Invalid rev id: {call.revision} is not a branch", "RevisionNotFound")
        if header.get("parentCommit") not in (None, head.sha):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        deleted: dict[str, None] = {}
        for key, path in gone:
            found = [path] if path in head.files else []
            if key == "deletedFolder":
                found = [name for name in head.files if name.startswith(path.rstrip("/") + "/")]
            if not found:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            deleted |= dict.fromkeys(found)
        request = call.flag("create_pr")
        number = sum(name.startswith("refs/pr/") for name in repo.refs) + 1
        made = repo.add_commit(
            f"refs/pr/{number}" if request else ref,
            {**deleted, **changes},
            author=who.user.name,
            title=header["summary"],
            message=header.get("description") or "",
            parent=head.sha,
        )
    url = f"{call.hub.url}/{prefix(repo.kind)}{repo.name}"
    data = {"success": True, "commitOid": made.sha, "commitUrl": f"{url}/commit/{made.sha}", "hookOutput": ""}
    return reply(data | ({"pullRequestUrl": f"{url}/discussions/{number}"} if request else {}))


# Last, so that /api/datasets/glue/refs is taken for the references of a repository with a one-word name.
route("GET", "{repo}", "info")(info)
