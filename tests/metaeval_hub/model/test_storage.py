"""Saving replaces a model atomically, and every model that can be created can be saved."""

import json
import os
import resource
import signal
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from metaeval_datasets.aspects import Aspects
from metaeval_datasets.spec import TaskType
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskEmbeddings
from metaeval_hub.model import storage as store
from metaeval_hub.safe_files.replace_folder import replacing
from metaeval_hub.safe_files.repository import UnsafeRepositoryError
from metaeval_hub.task_data.task_features import TaskFeatures, compute_task_features
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

TEXTS = ["the cat sat on the mat", "a dog ran"]
CONFIG = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
OLD, NEW = {"old/a": ("no", "yes"), "old/b": ("p", "q")}, {"new/a": ("yes", "no"), "new/b": ("q", "p")}
BAD = float("nan")
Z = "adapter.conditioning.task_embedding"


def make(labels=OLD, seed=0, encoder="tiny", config=CONFIG, **options):
    options |= {"vocabulary": TEXTS} if encoder == "tiny" else {}
    return ConditionalAdapterModel.create(encoder, labels, config, seed=seed, **options)


def spoil(model, name="heads.bias"):
    dict(model.named_parameters())[name].data.view(-1)[0] = BAD
    return model


@pytest.fixture
def saved(tmp_path):
    """Return a folder with a model, and the content that must stay."""
    model, folder = make(), tmp_path / "model"
    model.save_pretrained(folder)
    (folder / "mine.txt").write_text("keep")
    return folder, contents(folder), model.logits("old/a", TEXTS)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_old(saved):
    folder, before, logits = saved
    assert contents(folder) == before
    assert torch.equal(ConditionalAdapterModel.from_pretrained(folder).logits("old/a", TEXTS), logits)


@pytest.mark.parametrize("name", ["heads.bias", Z, "encoder.embeddings.LayerNorm.weight"])
def test_weights_that_are_not_finite_are_not_saved(name, saved):
    with pytest.raises(ValueError, match=f"{name} contains values that are not finite"):
        spoil(make(NEW), name).save_pretrained(saved[0])
    check_old(saved)


def test_full_disk_leaves_the_old_model(saved):
    """Limit the size of files that the process may write to less than the new weights."""
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    new = make(NEW)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(Exception, match=r"(?i)file too large|I/O error"):
            new.save_pretrained(saved[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    check_old(saved)


@pytest.mark.parametrize("step", range(0, 14, 3))
def test_failed_move_is_undone(step, saved, monkeypatch):
    moves, move = [], os.replace

    def fail(source, target):
        moves.append(target)
        if len(moves) == step + 1:
            raise OSError("no such luck")
        move(source, target)

    monkeypatch.setattr("metaeval_hub.safe_files.replace_folder.os.replace", fail)
    with pytest.raises(OSError, match="no such luck"):
        make(NEW).save_pretrained(saved[0])
    check_old(saved)


@pytest.mark.parametrize("step", range(0, 14, 3))
def test_a_save_that_is_killed_leaves_one_model_or_none(step, saved, monkeypatch):
    moves, move = [], os.replace

    def stop(source, target):
        moves.append(target)
        if len(moves) > step:
            raise OSError("killed")  # and so does the attempt to undo it
        move(source, target)

    monkeypatch.setattr("metaeval_hub.safe_files.replace_folder.os.replace", stop)
    with pytest.raises(OSError, match="killed"):
        make(NEW).save_pretrained(saved[0])
    if step == 0:
        check_old(saved)
    else:
        with pytest.raises(ValueError, match=r"config\.json is missing"):
            ConditionalAdapterModel.from_pretrained(saved[0])


@pytest.mark.parametrize(
    ("place", "is_folder", "message"),
    [
        ("tokenizer", False, "tokenizer is a file; expected a folder"),
        ("config.json", True, r"config\.json is a folder; expected a file"),
        ("README.md", True, r"README\.md is a folder; expected a file"),
    ],
)
def test_file_in_the_way_is_named_and_kept(place, is_folder, message, tmp_path):
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / place
    path.mkdir() if is_folder else path.write_text("mine")
    with pytest.raises(OSError, match=message):
        make().save_pretrained(tmp_path / "model")
    assert [each.name for each in (tmp_path / "model").rglob("*")] == [place]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file is a file; expected a folder"):
        make().save_pretrained(tmp_path / "file")


def test_a_model_of_another_kind_is_not_replaced(tmp_path):
    """Folders of transformers have files with the same names; so does the folder of the encoder."""
    tiny_encoder(tmp_path / "encoder")
    before, model = contents(tmp_path / "encoder"), make(encoder=tmp_path / "encoder")
    with pytest.raises(FileExistsError, match="not of a metaeval model; saving would replace that model"):
        model.save_pretrained(tmp_path / "encoder")
    assert contents(tmp_path / "encoder") == before


def test_new_model_replaces_the_whole_old_one(saved):
    folder = saved[0]
    (folder / "tokenizer/added_tokens.json").write_text(
        '{"cat": 3}'
    )  # of an older tokenizer, and read with the new one
    new = make(NEW, seed=5)
    new.save_pretrained(folder)
    loaded = ConditionalAdapterModel.from_pretrained(folder)
    assert torch.equal(loaded.logits("new/a", TEXTS), new.logits("new/a", TEXTS))
    assert (folder / "mine.txt").read_text() == "keep"
    assert not list(folder.glob(".saving*"))
    assert not (folder / "tokenizer/added_tokens.json").exists()
    make(config=ConditionalConfig(conditioning="full", max_length=16)).save_pretrained(folder)
    assert [path.name for path in (folder / "encoder").iterdir()] == ["config.json"]


def test_all_files_have_the_rights_of_new_files(saved):
    folder = saved[0]
    modes = {path.stat().st_mode for path in folder.rglob("*") if path.is_file()}
    assert modes == {(folder / "mine.txt").stat().st_mode}


def test_a_folder_may_be_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model = make()
    for path in (model.save_pretrained("~/m"), model.task_embeddings.save("~/z")):
        assert path.parent == tmp_path / "home"
    assert ConditionalAdapterModel.from_pretrained("~/m").task_names == TaskEmbeddings.load("~/z").names
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_empty_folder_name_is_refused_and_the_current_folder_stays_unchanged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    aspects = [Aspects(f"x/{i}", 100, 1, 7.0, TaskType.NLI) for i in range(3)]
    model, features = make(), compute_task_features(aspects, np.eye(3))
    for save in (model.save_pretrained, model.task_embeddings.save, features.save):
        with pytest.raises(ValueError, match='folder is ""; give the name of a folder'):
            save("")
    assert not list(tmp_path.iterdir())
    model.save_pretrained(".")
    assert (tmp_path / "config.json").is_file()


def test_a_failed_first_save_leaves_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "new", (), "a") as folder:
        (folder / "no such folder" / "a").write_text("x")
    assert not (tmp_path / "new").exists()


# --- tables stored with models ---


def test_tables_are_replaced_atomically(tmp_path, monkeypatch):
    old = TaskEmbeddings(("a", "b"), np.eye(2))
    old.save(tmp_path)
    aspects = [Aspects(name, 100 * (i + 1), 1, 4.0, TaskType.OTHER) for i, name in enumerate("abc")]
    known = compute_task_features(aspects, np.eye(3), np.eye(3))
    known.save(tmp_path)
    with pytest.raises(ValueError, match="the table has shape"):
        TaskEmbeddings((), np.zeros((0, 3))).save(tmp_path)
    wrong = [Aspects(f"../{name}", 1, 1, 4.0, TaskType.OTHER) for name in "xyz"]
    with pytest.raises(ValueError, match=r"tasks\[0\]\.name is '\.\./x', a path"):
        TaskFeatures(tuple(wrong), 2 * known.words, known.domains).save(tmp_path)
    moves, move = [], os.replace

    def fail(source, target):
        moves.append(target)
        if len(moves) == 4:
            raise OSError("no such luck")
        move(source, target)

    monkeypatch.setattr("metaeval_hub.safe_files.replace_folder.os.replace", fail)
    with pytest.raises(OSError, match="no such luck"):
        TaskEmbeddings(("c", "d"), -np.eye(2)).save(tmp_path)
    loaded = TaskEmbeddings.load(tmp_path)
    assert (loaded.names, loaded.values.tolist()) == (old.names, old.values.tolist())
    assert TaskFeatures.load(tmp_path).names == known.names


# --- every model that can be created can be saved ---

NAMES = {
    "of a path": "../x", "of a home folder": "~x", "empty": "", "that ends in a slash": "a/",
    "with a line break": "a\nb", "that turns writing": "a\u202eb",
    "half a character": "\ud83d", "of 300 characters": "x" * 300,
}  # fmt: skip
CLASSES = {
    "numbers": ((0, 1), TypeError, "labels has 0; expected names of classes"),
    "truth values": ((False, True), TypeError, "labels has False"),
    "one string": ("no", TypeError, "labels is 'no'; expected a list of two or more"),
    "a set": ({"no", "yes"}, TypeError, "labels is {"),
    "numbers of names": ({"yes": 1, "no": 0}, TypeError, "labels is {'no': 0"),
    "no dimension": (np.array("no"), TypeError, "labels is array"),
    "missing": (("no", None), TypeError, "labels has None"),
    "a line break": (("a\nb", "c"), ValueError, "none of them a control character"),
    "too long": (("x" * 1001, "c"), ValueError, "at most 1000 characters"),
    "half a character": (("\ud83d", "c"), ValueError, "none of them a control character"),
}


@pytest.fixture(scope="module")
def model():
    return make()


def ways(model, name, classes):
    """All ways to add a task to a model."""
    return [
        lambda: make({"a": ("x", "y"), name: classes}),
        lambda: model.add_task(name, classes),
        lambda: model.add_tasks({name: classes}),
        lambda: model.fit_task(name, [("a", 0)], classes),  # refused before fitting
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_saved_is_refused_when_it_is_given(name, model):
    for way in ways(model, NAMES[name], ("x", "y")):
        with pytest.raises(ValueError, match="the name of a task is"):
            way()
    assert model.task_names == tuple(OLD)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_that_cannot_be_saved_are_refused_when_they_are_given(name, model):
    classes, error, message = CLASSES[name]
    for way in ways(model, "x", classes):
        with pytest.raises(error, match=message):
            way()
    with pytest.raises(error, match=message.replace("labels", "label_vectors")):
        model.add_task("x", ("a", "b"), label_vectors=classes)
    assert model.task_names == tuple(OLD)


@pytest.mark.parametrize("classes", [np.array(["no", "yes"]), iter(["no", "yes"]), {"no": 0, "yes": 1}.keys()])
def test_classes_may_be_any_ordered_collection(classes, tmp_path):
    model = make()
    model.add_task("x", classes)
    assert model.labels["x"] == ("no", "yes")
    assert {type(name) for name in model.labels["x"]} == {str}
    model.save_pretrained(tmp_path)
    assert ConditionalAdapterModel.from_pretrained(tmp_path).labels["x"] == ("no", "yes")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dim_z": 2**20 + 1}, "could not be stored: .* conditional.dim_z"),
        ({"adapter_dropout": np.float32(0.1)}, "adapter_dropout must be a number"),
        ({"encoder_dropout": 1}, "encoder_dropout is 1; expected True or False"),
    ],
)
def test_settings_that_cannot_be_saved_are_refused_when_they_are_given(setting, message):
    with pytest.raises(ValueError, match=message):
        make(config=ConditionalConfig(adapter_size=4, **setting))


def test_an_encoder_in_a_folder_of_any_name_can_be_stored(tmp_path):
    (tmp_path / "c:\n").mkdir()
    tiny_encoder(tmp_path / "c:\n")
    make(encoder=tmp_path / "c:\n").save_pretrained(tmp_path / "model")
    assert ConditionalAdapterModel.from_pretrained(tmp_path / "model").base.id == "local encoder"


def test_values_beyond_the_range_of_half_precision_are_refused():
    model = make()
    with pytest.raises(ValueError, match=r"x: task_embedding contains values that are not finite in torch\.float32"):
        model.add_task("x", ("a", "b"), np.full(3, 1e39))
    with pytest.raises(ValueError, match="x: the output of the encoder is not finite"):
        spoil(make(), Z).fit_task("x", [("a", "p"), ("b", "q")] * 2)
    config = ConditionalConfig(adapter_size=4, dim_z=3, z_from="features")
    features = make(config=config, task_features=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match=r"x: task_features of up to 1e\+200 are too large"):
        features.add_task("x", ("a", "b"), task_features=[1e200, 0.0])
    assert model.task_names == features.task_names == tuple(OLD)


def test_string_instead_of_a_list_of_tasks_is_refused(model):
    found = model.predict_tasks(iter(OLD), TEXTS)
    assert list(found) == list(OLD)
    assert list(model.predict_tasks(np.array(list(OLD)), TEXTS)) == list(OLD)
    for call in (lambda: model.predict_tasks("old/a", TEXTS), lambda: model.remove_tasks("old/a")):
        with pytest.raises(TypeError, match=r"names is one string; expected a list of tasks, such as \['old/a'\]"):
            call()
    with pytest.raises(TypeError, match="names is"):
        model.predict_tasks(set(OLD), TEXTS)
    with pytest.raises(TypeError, match=r"labels is 'x'; expected task name -> class names"):
        make("x")
    table = TaskEmbeddings(iter("abc"), np.eye(3))
    assert table.select(iter("cb")).names == ("c", "b")
    for call in (lambda: table.select("cb"), lambda: TaskEmbeddings("abc", np.eye(3))):
        with pytest.raises(TypeError, match="names is one string"):
            call()
    with pytest.raises(TypeError, match=r"names\[1\] is 2; expected a string"):
        TaskEmbeddings(("a", 2), np.eye(2))


def test_repr_of_a_table_is_one_line_and_many_names_are_compared_quickly():
    table = TaskEmbeddings([f"g/{i}" for i in range(30)], np.zeros((30, 4)))
    assert repr(table) == "TaskEmbeddings(30 tasks: g/0, g/1, g/2, g/3, g/4 and 25 more; z of 4)"
    many = [str(i) for i in range(200_000)]
    with pytest.raises(ValueError, match=r"names that come more than once: 7$"):
        TaskEmbeddings([*many[1:], "7"], np.zeros((200_000, 1)))


def test_stored_names_are_those_of_the_weights(tmp_path):
    model = make()
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / store.CONFIG_FILE).read_text())
    assert [task["name"] for task in stored["tasks"]] == list(OLD)
    assert torch.equal(load_file(tmp_path / store.WEIGHTS_FILE)["heads.weight"], model.heads.weight)


@pytest.mark.parametrize("kind", ["hub", "package"])
def test_encoder_stored_with_a_model_counts_as_the_models_own(kind, tmp_path, caplog):
    model = make()
    model.save_pretrained(tmp_path / "model")
    record = json.loads((tmp_path / "model/config.json").read_text())
    record["base"].update(kind=kind, id="google-bert/bert-base-uncased", revision="8" * 40)
    (tmp_path / "model/config.json").write_text(json.dumps(record))
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert "names the encoder google-bert/bert-base-uncased and brings weights of its own" in caplog.text
    own = ("local", "google-bert/bert-base-uncased (as stored with the model)", None)
    assert (loaded.base.kind, loaded.base.id, loaded.base.revision) == own
    caplog.clear()
    again = ConditionalAdapterModel.from_pretrained(loaded.save_pretrained(tmp_path / "again"))
    assert again.base == loaded.base
    assert torch.equal(again.logits("old/a", TEXTS), model.logits("old/a", TEXTS))
    assert not caplog.records


def test_models_created_in_several_threads_depend_only_on_their_seed(tmp_path):
    expected = {seed: make(seed=seed).logits("old/a", TEXTS) for seed in range(3)}
    folder, wrong = make().save_pretrained(tmp_path / "model"), []

    def check(seed):
        for _ in range(4):
            ConditionalAdapterModel.from_pretrained(
                folder
            )  # while a model is built, other threads must not draw random weights
            if not torch.equal(make(seed=seed).logits("old/a", TEXTS), expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=check, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["C:\\other", "a\\b", "c:d"])
def test_names_with_backslashes_and_colons_are_accepted(name, model, tmp_path):
    model.add_task(name, ["no", "yes"])
    try:
        model.save_pretrained(tmp_path)
        assert name in ConditionalAdapterModel.from_pretrained(tmp_path).task_names
    finally:
        model.remove_task(name)


def test_the_folder_of_a_run_is_refused_with_the_folder_of_its_model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(UnsafeRepositoryError, match=r"is the folder of a run; load the model in it: .*model$"):
        ConditionalAdapterModel.from_pretrained(tmp_path)
