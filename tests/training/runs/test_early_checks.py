"""What a run needs is checked before its data is loaded."""

import pytest
import torch
from metaeval_training.config import ConfigError
from metaeval_training.runs.early_checks import check_compiler


def test_a_machine_that_cannot_compile_is_named_with_what_to_install(monkeypatch):
    def without_compiler(function):
        raise RuntimeError(
            "\nbackend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler found\nand much more"
        )

    monkeypatch.setattr(torch, "compile", without_compiler)
    with pytest.raises(ConfigError, match=r"on this machine: InvalidCxxCompiler.*found\. Install .*g\+\+.*leave out"):
        check_compiler(torch.device("cpu"))
