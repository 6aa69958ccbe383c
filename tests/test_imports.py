"""Imports point one way, in the order of CONTRIBUTING.md: between packages, rooms and modules. There are no circles."""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "metaeval_datasets": ROOT / "metaeval_datasets",
    "metaeval_hub": ROOT / "metaeval_hub",
    "metaeval_training": ROOT / "training" / "metaeval_training",
}
BARRED = {
    "metaeval_datasets": {"metaeval_hub", "metaeval_training", "training", "tests", "torch"},
    "metaeval_hub": {"metaeval_training", "training", "tests"},
    "metaeval_training": {"metaeval_hub.cli", "training", "tests"},
}

# Each module or room (folder) imports only those before it.
DATASETS_ORDER = [
    *(
        "extras",
        "safe_yaml",
        "spec",
        "vocabulary",
        "citations",
        "hashing",
        "demo_templates",
        "demo",
        "schema",
        "tasks",
        "catalog",
    ),
    "metric",
    *("written", "outside", "cast", "splits", "overlap", "overlap_report", "aspects"),
    "sources",
    *("labels_found", "rows_in_memory", "own", "columns", "task_file", "plug_ins"),
    *(
        "rows",
        "report",
        "row_sources",
        "unlabelled",
        "record",
        "published",
        "tally",
        "fingerprint",
        "prepared",
        "metaeval",
        "hook",
        "publish",
        "summary",
    ),
    "__init__",
]
HUB_ORDER = [
    *("utils", "safe_files", "results", "hub", "task_data", "conditional", "encoders", "model"),
    *("serve", "analysis", "report", "page", "space", "cli", "__init__", "__main__"),
]
# Copied to users and run there, so it imports the public names of the package; no module imports it.
PROGRAM = "metaeval_hub.space.app"
# The rooms of the training engine: each imports only from itself and from those before it.
TRAINING_ORDER = [
    "atomic_files",
    "setting_rules",
    "config",
    "flags",
    "data",
    "vectors",
    "runs",
    "engine",
    "commands",
    "__init__",
    "__main__",
]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes: Iterable[ast.AST], path: Path) -> set[str]:
    """Names that import statements mention: modules, and what is imported from them."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if (path.parent.name, path.name) == ("metric", "metric.py") and node.level:
                continue  # published without its package; it imports class_names.py and scores.py of its folder
            assert node.level == 0, f"{path}: write absolute imports"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def modules(package: str) -> dict[str, Path]:
    """The modules of a package and their files."""
    root = PACKAGES[package]
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found, f"no modules in {root}"
    return found


@cache
def graph(package: str) -> dict[str, set[str]]:
    """Module -> modules of the same package that it imports anywhere, for type checkers too."""
    known = modules(package)
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        found[module] = set()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names} & known.keys()
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                names = {f"{base}.{alias.name}" for alias in node.names}
                found[module] |= names & known.keys()
                if base in known and not names <= known.keys():
                    found[module].add(base)
        found[module].discard(module)
    return found


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """The sets of two or more modules that import each other, directly or not."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = edges[ahead.pop()] - seen
            seen |= new
            ahead += new
        reached[start] = seen
    found = []
    for module in edges:
        circle = {other for other in reached[module] if module in reached[other]}
        if module in reached[module] and circle not in found:
            found.append(circle)
    return found


@pytest.mark.parametrize("package", BARRED)
def test_packages_import_only_packages_below_them(package):
    for path in modules(package).values():
        nodes = ast.walk(tree_of(path)) if package == "metaeval_training" else tree_of(path).body
        names = imported(nodes, path)
        bad = {name for name in names for barred in BARRED[package] if f"{name}.".startswith(f"{barred}.")}
        assert not bad, f"{path} imports {sorted(bad)}; see CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("package", "order"),
    [("metaeval_datasets", DATASETS_ORDER), ("metaeval_hub", HUB_ORDER), ("metaeval_training", TRAINING_ORDER)],
)
def test_rooms_import_only_rooms_below_them(package, order):
    def room(module: str) -> str:
        return module.split(".")[1] if "." in module else "__init__"

    known = modules(package)
    assert {room(module) for module in known} <= {*order}, f"name every room of {package} in its order"
    for module, others in graph(package).items():
        assert PROGRAM not in others
        for other in others:
            if room(module) == room(other) or (module, other) == (PROGRAM, package):
                continue
            assert order.index(room(other)) < order.index(room(module)), f"{module} imports {other}, which is above it"


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_do_not_import_each_other_in_a_circle(package):
    found = circles(graph(package))
    assert not found, f"circles: {found}"


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [{"b", "c"}, {"d"}]


def test_importing_the_package_needs_no_torch_and_no_network(run_python):
    code = "import sys, metaeval_datasets; print(sorted({'torch', 'transformers', 'adapters'} & sys.modules.keys()))"
    done = run_python(code, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.stdout.strip() == "[]"


def test_star_import_does_not_need_the_adapters_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "adapters", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "metaeval_hub.conditional.adapters_library", raising=False)
    names: dict[str, object] = {}
    exec("from metaeval_hub import *", names)
    assert {"ConditionalAdapterModel", "TaskEmbeddings", "evaluator"} <= names.keys()
    with pytest.raises(ImportError, match=r"run: pip install 'metaeval\[adapters\]'"):
        exec("from metaeval_hub import ConditionalBnConfig", {})
