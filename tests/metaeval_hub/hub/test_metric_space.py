"""The metric as a Space, from which `evaluate` loads it."""

import evaluate
import pytest

from metaeval_datasets import load_metric
from metaeval_hub.cli import main
from metaeval_hub.hub.metric_space import metric_files


def test_the_published_metric_works_without_this_package(hub, capsys):
    name = hub.name("my-metric")
    assert main(["publish", "--metric", name, "--private"]) == 0
    assert f"/spaces/{name}/commit/" in capsys.readouterr().out
    repo = hub.repo(name, "space")
    assert repo.private
    assert f'evaluate.load("{name}", "glue/cola")' in repo.read("README.md").decode()
    code = [repo.read(file) for file in repo.files() if file.endswith(".py")]
    assert len(code) == 3
    assert not any(b"import metaeval" in text or b"from metaeval" in text for text in code)
    found = evaluate.load(name, "glue/cola").compute(predictions=["acceptable", 0], references=[1, 1])
    assert found == load_metric("glue/cola").compute(predictions=[1, 0], references=[1, 1])
    assert main(["publish", "--metric", name]) == 0  # again, over its own


def test_a_dry_run_uploads_nothing(hub, capsys):
    name = hub.name("metric")
    assert main(["publish", "--metric", name, "--dry-run"]) == 0
    assert "class_names.py" in capsys.readouterr().out
    assert ("space", name) not in hub.store.repos


def test_a_space_of_another_kind_is_left_alone(hub, capsys):
    name = hub.name("space")
    hub.add_repo(name, {"README.md": b"---\nsdk: gradio\n---\n"}, repo_type="space")
    assert main(["publish", "--metric", name]) == 1
    assert f"metaeval did not create the Space {name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["org/my.metric", "org/scores"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(ValueError, match="a metric cannot be called"):
        metric_files(name, "1.0")
