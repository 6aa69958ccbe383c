import errno
import json

import pytest
import torch
from metaeval_training.engine import checkpoint as module
from metaeval_training.engine.checkpoint import (
    TornCheckpointError,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    load_optimizer_tensors,
    newest_checkpoint,
    optimizer_tensors,
    remove_parts,
    save_checkpoint,
)

TENSORS = {"model": {"w": torch.arange(6.0).view(2, 3), "step": torch.tensor(3.0)}, "optimizer": {"0.m": torch.ones(4)}}


def save(folder, step, keep=9):
    return save_checkpoint(folder, step, TENSORS, {"seconds": 1.5}, keep)


def test_what_is_saved_is_loaded(tmp_path):
    loaded = load_checkpoint(save(tmp_path, 20))
    assert (loaded.step, loaded.state) == (20, {"seconds": 1.5})
    assert loaded.tensors.keys() == TENSORS.keys()
    for stem, named in TENSORS.items():
        for name, tensor in named.items():
            assert torch.equal(loaded.tensors[stem][name], tensor)


def test_only_safetensors_and_json_are_written(tmp_path):
    assert {path.suffix for path in save(tmp_path, 20).iterdir()} == {".safetensors", ".json"}


def test_the_newest_are_kept(tmp_path):
    for step in (5, 10, 100, 20):
        save(tmp_path, step, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000100", "step-00000020"]


def test_the_same_step_can_be_written_again(tmp_path):
    save(tmp_path, 5)
    assert load_checkpoint(save(tmp_path, 5)).step == 5


def damage_size(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


def damage_bits(path):
    file = path / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


DAMAGE = {
    "model.safetensors has": damage_size,
    "optimizer.safetensors is damaged": damage_bits,
    "FileNotFoundError": lambda path: (path / "model.safetensors").unlink(),
    "Expecting ',' delimiter": lambda path: (path / "state.json").write_text('{"step": 2'),
    "lacks the digest 'sha256' of its content": lambda path: (path / "state.json").write_text(json.dumps({"step": 2})),
    "instead of a JSON object": lambda path: (path / "state.json").write_text("[]"),
    "can't decode byte": lambda path: (path / "state.json").write_bytes(b'{"step": "\xff"}'),
    "nested too deeply": lambda path: (path / "state.json").write_text("[" * 100_000),
    "1e999, which is not finite": lambda path: change_state(path, '"step": 20', '"step": 1e999'),
    "differs from that of its content": lambda path: change_state(path, '"step": 20', '"step": 21'),
    "its digest 'sha256' differs": lambda path: change_state(path, "1.5", "null"),
    "is of step 20, the folder's name says 30": lambda path: path.rename(path.with_name("step-00000030")),
}


def change_state(path, before, after):
    file = path / "state.json"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


@pytest.mark.parametrize("message", DAMAGE)
def test_a_torn_checkpoint_is_named_and_skipped(message, tmp_path):
    save(tmp_path, 10)
    newest = save(tmp_path, 20)
    DAMAGE[message](newest)
    newest = next(checkpoints(tmp_path))
    with pytest.raises(TornCheckpointError, match=message):
        load_checkpoint(newest)
    found, torn = newest_checkpoint(tmp_path)
    assert found.step == 10
    assert len(torn) == 1
    assert newest.name in torn[0]


def test_folders_with_other_names_are_no_checkpoints(tmp_path):
    for name in ("step-copy", "step-00000030.old", "step-"):
        (tmp_path / name).mkdir()
    for step in (99_999_999, 100_000_000):
        save(tmp_path, step, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-100000000", "step-99999999"]


def test_no_checkpoint_at_all(tmp_path):
    assert newest_checkpoint(tmp_path / "none") == (None, [])


@pytest.mark.parametrize("moment", ["save_file", "sync"])
def test_a_full_disk_leaves_what_was_there(moment, tmp_path, monkeypatch):
    save(tmp_path, 10)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, moment, full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 20, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]
    assert load_checkpoint(checkpoint_path(tmp_path, 10)).step == 10


def test_what_a_kill_leaves_is_no_checkpoint(tmp_path, monkeypatch):
    """A kill while the files are written: the hidden folder stays, and no step-* folder appears."""
    monkeypatch.setattr(module, "sync", lambda path: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        save(tmp_path, 20)
    assert list(checkpoints(tmp_path)) == []
    assert [path.name for path in remove_parts(tmp_path)] == [".step-00000020.part"]
    assert list(tmp_path.iterdir()) == []


def test_optimizer_state_as_tensors(tmp_path):
    def make():
        parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2, 2))]
        return parameters, torch.optim.AdamW(
            [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.5}], lr=0.1
        )

    parameters, optimizer = make()
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    path = save_checkpoint(tmp_path, 1, {"optimizer": optimizer_tensors(optimizer)}, {}, 1)
    _, other = make()
    load_optimizer_tensors(other, load_checkpoint(path).tensors["optimizer"])
    expected, got = optimizer.state_dict(), other.state_dict()
    assert got["param_groups"] == expected["param_groups"]
    for number, state in expected["state"].items():
        for name, tensor in state.items():
            assert torch.equal(got["state"][number][name], tensor)
    with pytest.raises(ValueError, match=r"parameters \[7\]"):
        load_optimizer_tensors(other, {"7.exp_avg": torch.ones(1)})
