"""The name "metaeval" in ``datasets``, whichever of the two packages is imported first."""

import pytest

USE = """
import sys
print("datasets" in sys.modules)
from datasets import get_dataset_config_names, load_dataset_builder
print(load_dataset_builder("metaeval", "demo/spam").config.name, "demo/spam" in get_dataset_config_names("metaeval"))
print([finder for finder in sys.meta_path if type(finder).__module__.startswith("metaeval")])
"""


@pytest.mark.parametrize(
    ("first", "loaded"),
    [("import metaeval_datasets", False), ("import datasets, metaeval_datasets", True)],
    ids=["metaeval first", "datasets first"],
)
def test_the_order_of_imports_does_not_matter(run_python, first, loaded):
    assert run_python(f"{first}\n{USE}").stdout.splitlines() == [str(loaded), "demo/spam True", "[]"]
