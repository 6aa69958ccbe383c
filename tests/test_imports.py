"""Imports flow one way, in the order of CONTRIBUTING.md: between packages, and from file to file within them."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BARRED = {"metaeval_datasets": {"metaeval_hub", "training", "tests", "torch"}, "metaeval_hub": {"training", "tests"}}

# From what knows nothing of the others to what uses them; files not named here stand above them all.
DATASETS_ORDER = [
    *("spec", "vocabulary", "citations", "hashing", "demo_templates", "demo", "schema", "tasks", "catalog"),
    *("written", "outside", "cast", "splits", "overlap", "overlap_report", "aspects"),
    *("patterns", "layout", "transport", "listings", "readers", "parquet", "asking", "sources"),
    *("rows", "report", "record", "published", "tally", "fingerprint", "metaeval", "hook"),
    "__init__",
]

# The rooms of the training engine: each imports only from itself and from those before it.
TRAINING_ORDER = ["atomic_files", "config", "flags", "data", "vectors", "runs", "engine", "commands"]


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


def training_imports() -> dict[str, set[str]]:
    """Module of ``metaeval_training`` -> the modules of it that the module imports, for type checking too."""
    root = ROOT / "training" / "metaeval_training"
    modules = {
        ".".join(path.relative_to(root.parent).with_suffix("").parts): path
        for path in files("training/metaeval_training")
        if path.name != "__init__.py"
    }
    return {name: imported(path, everywhere=True) & modules.keys() for name, path in modules.items()}


def test_rooms_of_the_training_engine_import_only_rooms_below_them():
    for module, names in training_imports().items():
        for name in names:
            own, other = module.split(".")[1], name.split(".")[1]
            assert TRAINING_ORDER.index(other) <= TRAINING_ORDER.index(own), f"{module} imports {name}"


def test_modules_of_the_training_engine_import_each_other_without_a_circle():
    TopologicalSorter(training_imports()).prepare()  # raises CycleError


def test_the_training_engine_does_not_import_the_command_line():
    for path in files("training"):
        bad = [name for name in imported(path, everywhere=True) if name.startswith("metaeval_hub.cli")]
        assert not bad, f"{path} imports {bad}"


def test_importing_the_package_needs_no_torch_and_no_network(run_python):
    code = "import sys, metaeval_datasets; print(sorted({'torch', 'transformers', 'adapters'} & sys.modules.keys()))"
    done = run_python(code, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.stdout.strip() == "[]"
