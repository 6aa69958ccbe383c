"""Verbosity applies to both packages, and messages are written once."""

import logging as python_logging

import pytest

from metaeval_hub.utils import logging


@pytest.mark.parametrize(
    ("name", "shown"),
    [("error", ["ERROR"]), ("warning", ["ERROR", "WARNING"]), ("info", ["ERROR", "WARNING", "INFO"]),
     ("debug", ["ERROR", "WARNING", "INFO", "DEBUG"])],
)  # fmt: skip
@pytest.mark.parametrize("module", ["metaeval_hub.hub.retry", "metaeval_datasets.sources.asking"])
def test_messages_below_the_level_are_left_out(name, shown, module, caplog):
    getattr(logging, f"set_verbosity_{name}")()
    assert logging.get_verbosity() == getattr(python_logging, name.upper())
    for level in ("ERROR", "WARNING", "INFO", "DEBUG"):
        python_logging.getLogger(module).log(getattr(python_logging, level), "message")
    assert [record.levelname for record in caplog.records] == shown


def test_messages_are_written_once_whether_or_not_the_application_configures_logging(run_python):
    code = """
import logging
from metaeval_hub.utils.logging import set_verbosity, INFO
set_verbosity(INFO)
set_verbosity(INFO)
logging.getLogger("metaeval_hub.hub.upload").info("first")
logging.basicConfig(level="DEBUG", format="app: %(message)s")
logging.getLogger("metaeval_hub.hub.upload").info("second")
logging.getLogger("metaeval_hub.hub.upload").debug("third")
"""
    assert run_python(code).stderr.split("\n") == ["first", "app: second", ""]
