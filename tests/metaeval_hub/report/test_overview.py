"""The section that lists the runs."""

import numpy as np

from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.overview import overview
from tests.metaeval_hub.embedded import write_results
from tests.metaeval_hub.report.runs import SOME


def test_run_of_seconds_is_not_shown_as_zero_minutes(tmp_path):
    place = write_results(tmp_path / "run", SOME, np.ones(20), method="full", seconds={"training": 15, "evaluation": 4})
    table = overview(read_inputs([str(place)]), []).blocks[0].table
    shown = dict(zip([column.key for column in table.columns], table.cells()[0], strict=True))
    assert shown["minutes"] == "0.3"
