"""The page on the Hub: as a static Space, and in the repository of a model."""

import pytest
import yaml

from metaeval_hub.cli import main
from metaeval_hub.page.push import push_space
from tests.metaeval_hub.demo_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "demo-1")


def test_the_page_becomes_a_static_space_and_is_replaced_there(hub, run, tmp_path, capsys):
    name, out = hub.name("space"), tmp_path / "map.html"
    arguments = ["page", str(run), "--out", str(out), "--title", 'A "map": of <tasks>', "--push", name, "--private"]
    assert main(arguments) == 0
    assert f"/spaces/{name}/commit/" in capsys.readouterr().out
    repo = hub.repo(name, "space")
    assert repo.private
    assert repo.read("index.html") == out.read_bytes()
    _, metadata, text = repo.read("README.md").decode().split("---\n", 2)
    card = yaml.safe_load(metadata)
    assert (card["sdk"], card["app_file"], card["title"]) == ("static", "index.html", 'A "map": of <tasks>')
    assert 'A "map": of <tasks>' in text
    assert main([*arguments[:-3], "--title", "Anew", "--push", name]) == 0
    assert repo.read("index.html") == out.read_bytes()


def test_space_without_a_map_is_not_replaced(hub, run, tmp_path):
    page = tmp_path / "map.html"
    page.write_text("page", encoding="utf-8")
    name = hub.name("space")
    hub.add_repo(name, {"README.md": b"---\nsdk: gradio\n---\n", "app.py": b"import gradio"}, repo_type="space")
    with pytest.raises(ValueError, match=f"metaeval did not create the Space {name}"):
        push_space(page, name, title="Map")
    assert "index.html" not in hub.repo(name, "space").files()
    public = hub.name("space")
    push_space(page, public, title="Map")
    with pytest.raises(ValueError, match=f"{public} is public, and --private applies to new Spaces only"):
        push_space(page, public, title="Map", private=True)


def test_page_is_added_to_a_model_without_changing_other_files(hub, run, tmp_path, capsys):
    name = hub.name("model")
    hub.add_repo(name, {"README.md": b"a card", "config.json": b"{}"})
    out = tmp_path / "map.html"
    assert main(["page", str(run), "--out", str(out), "--push-to-model", name]) == 0
    repo = hub.repo(name)
    assert repo.read("task_map.html") == out.read_bytes()
    assert repo.read("README.md") == b"a card"
    assert main(["page", str(run), "--out", str(out), "--push-to-model", hub.name("none")]) == 1
    assert "push the model first" in capsys.readouterr().err
