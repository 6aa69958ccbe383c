"""Imports flow one way, in the order of CONTRIBUTING.md: between packages, and from file to file within them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BARRED = {"metaeval_datasets": {"metaeval_hub", "training", "tests", "torch"}, "metaeval_hub": {"training", "tests"}}

# From what knows nothing of the others to what uses them; files not named here stand above them all.
DATASETS_ORDER = [
    *("spec", "vocabulary", "citations", "hashing", "demo_templates", "demo", "schema", "tasks", "catalog"),
    *("written", "outside", "cast", "splits", "overlap", "overlap_report", "aspects"),
    *("sources", "rows", "report", "record", "published", "tally", "fingerprint", "metaeval", "hook"),
    "__init__",
]


def imported(path: Path, everywhere: bool = False) -> set[str]:
    """Modules that a file imports at its top level, or anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", BARRED)
def test_imports_flow_one_way(package):
    for path in files(package):
        bad = {name.split(".")[0] for name in imported(path)} & BARRED[package]
        assert not bad, f"{path} imports {sorted(bad)}; see CONTRIBUTING.md"


def test_files_of_metaeval_datasets_import_only_files_above_them():
    package = ROOT / "metaeval_datasets"
    order = {name: place for place, name in enumerate(DATASETS_ORDER)}
    for path in files("metaeval_datasets"):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        for name in imported(path, everywhere=True):
            parts = name.split(".")
            if parts[0] == "metaeval_datasets" and len(parts) > 1 and (package / f"{parts[1]}.py").exists():
                assert order.get(parts[1], 99) < order.get(own, 99), f"{path} imports {name}"


def test_importing_the_package_needs_no_torch_and_no_network(run_python):
    code = "import sys, metaeval_datasets; print(sorted({'torch', 'transformers', 'adapters'} & sys.modules.keys()))"
    done = run_python(code, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.stdout.strip() == "[]"
