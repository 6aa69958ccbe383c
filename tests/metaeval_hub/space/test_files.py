"""The files of a Space: in a folder and on the Hub, with the model inside or at its commit."""

import json

import pytest
import yaml

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main
from metaeval_hub.space.files import APP, SPACE_TAG, Served, texts_of

LABELS = {"x/one": ("no", "yes"), "x/two": ("a", "b", "c")}


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    return ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=["a cat sat"])


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return model.save_pretrained(tmp_path_factory.mktemp("model") / "saved")


def test_a_folder_contains_the_model_and_what_the_page_needs(folder, model, tmp_path, capsys):
    out = tmp_path / "space"
    command = ["space", str(folder), "--out", str(out), "--title", 'My "tasks"\n# and {more}']
    assert main(command) == 0
    assert f"wrote {out} with a page for 2 tasks" in capsys.readouterr().out
    assert json.loads((out / "config.json").read_text()) == {
        "format": "metaeval-space", "repo_id": None, "revision": None, "title": 'My "tasks" # and {more}',
    }  # fmt: skip
    loaded = ConditionalAdapterModel.from_pretrained(out / "model")
    assert (loaded.predict("x/one", ["cat"]).probabilities == model.predict("x/one", ["cat"]).probabilities).all()
    assert (out / "requirements.txt").read_text() == "metaeval[models]>=0.1,<0.2\ngradio>=6,<7\n"
    _, metadata, text = (out / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(metadata)
    assert (card["sdk"], card["app_file"], card["title"]) == ("gradio", "app.py", 'My "tasks" # and {more}')
    assert card["sdk_version"].startswith("6.")
    assert "with 2 tasks of the model `model/`" in text
    compile((out / APP).read_text(), APP, "exec")
    assert main(command) == 0  # again, over its own


def test_the_program_is_the_same_for_every_model(model):
    hostile = Served(model, 'org/a"b', "c" * 40, '"""\nimport os\n{0}$x', None)
    texts = texts_of(hostile)
    assert texts[APP] == texts_of(Served(model, None, None, "t"))[APP]
    assert json.loads(texts["config.json"])["title"] == '""" import os {0}$x'
    assert yaml.safe_load(texts["README.md"].split("---\n")[1])["title"] == '""" import os {0}$x'


def test_other_files_in_the_folder_stay(folder, tmp_path, capsys):
    (tmp_path / "app.py").write_text("mine")
    assert main(["space", str(folder), "--out", str(tmp_path)]) == 1
    assert f"{tmp_path} contains other files, which app.py would be mixed with" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]
    assert (tmp_path / "app.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "message"),
    [(["--private"], "--private is about a Space on the Hub"), (["--revision", "v1"], "--revision v1 is a version of")],
)
def test_options_for_the_hub_are_not_ignored(folder, tmp_path, option, message, capsys):
    assert main(["space", str(folder), "--out", str(tmp_path / "space"), *option]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "space").exists()


@pytest.mark.parametrize("line", ["-r evil.txt metaeval", "metaeval\ntorch", "torch"])
def test_a_requirement_is_one_line_for_metaeval(model, line):
    with pytest.raises(ValueError, match="is not a requirement for metaeval; expected one line as in PEP 508"):
        texts_of(Served(model, None, None, "t", line))
    given = "metaeval[models] @ git+https://example.org/metaeval"
    assert texts_of(Served(model, None, None, "t", given))["requirements.txt"].splitlines()[0] == given


def test_a_wrong_requirement_is_reported_before_the_model_is_loaded(tmp_path, capsys):
    command = ["space", str(tmp_path / "no model"), "--out", str(tmp_path / "space"), "--metaeval", "nonsense metaeval"]
    assert main(command) == 1
    assert "--metaeval 'nonsense metaeval' is not a requirement" in capsys.readouterr().err


def test_a_model_of_the_hub_is_loaded_from_its_commit(hub, model, capsys):
    source, target = hub.name("model"), hub.name("space")
    model.push_to_hub(source)
    assert main(["space", source, "--push", target, "--private"]) == 0
    assert f"/spaces/{target}/commit/" in capsys.readouterr().out
    repo = hub.repo(target, "space")
    assert repo.private
    assert {*repo.files()} - {".gitattributes"} == {"README.md", "app.py", "config.json", "requirements.txt"}
    config = json.loads(repo.read("config.json"))
    assert (config["repo_id"], config["title"]) == (source, "2 text classification tasks")
    loaded = ConditionalAdapterModel.from_pretrained(source, revision=config["revision"])
    assert loaded.labels == LABELS
    card = yaml.safe_load(repo.read("README.md").decode().split("---\n")[1])
    assert card["models"] == [source]
    assert SPACE_TAG in card["tags"]
    assert main(["space", hub.name("none"), "--push", target]) == 1
    assert "does not exist, or your token has no access to it" in capsys.readouterr().err


def test_a_model_of_a_folder_is_pushed_with_the_space(hub, folder, model):
    name = hub.name("space")
    assert main(["space", str(folder), "--push", name]) == 0
    repo = hub.repo(name, "space")
    assert repo.read("model/model.safetensors") == (folder / "model.safetensors").read_bytes()
    source = hub.name("model")
    model.push_to_hub(source)
    assert main(["space", source, "--push", name]) == 0  # the Space then loads the model from its repository
    assert {*repo.files()} - {".gitattributes"} == {"README.md", "app.py", "config.json", "requirements.txt"}


def test_a_space_of_another_kind_is_left_alone(hub, folder, capsys):
    name = hub.name("space")
    hub.add_repo(name, {"README.md": b"---\nsdk: gradio\n---\n", "app.py": b"mine"}, repo_type="space")
    assert main(["space", str(folder), "--push", name]) == 1
    assert f"metaeval did not create the Space {name}" in capsys.readouterr().err
    assert hub.repo(name, "space").read("app.py") == b"mine"
