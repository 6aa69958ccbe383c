import argparse
import json

import pytest
from metaeval_training.config import (
    CONFIGS,
    HINTS,
    PATHS,
    ConfigError,
    TrainConfig,
    check_resume,
    check_values,
    flag,
    read_config,
    read_preset,
    resolve,
)
from metaeval_training.flags import add_flags, parse

PRESETS = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def test_the_demo_preset_is_the_defaults():
    assert resolve({"preset": "demo"}) == TrainConfig()
    assert parse([]).config == TrainConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_resolve(name):
    assert resolve({"preset": name}).preset == name


def test_the_paper_preset_has_the_literal_values():
    """Sileo & Moens 2022, section 5.1."""
    config = resolve({"preset": "paper"})
    assert (config.max_length, config.batch_size, config.epochs, config.max_train_rows) == (128, 64, 1, 30_000)
    assert config.adapter_lr == config.head_lr == config.z_lr == 2e-5
    assert (config.sampling, config.loss_cap, config.dim_z, config.adapter_size) == ("sqrt", 1.0, 32, 256)
    assert (config.schedule, config.warmup, config.weight_decay, config.pooling) == ("constant", 0, 0, "cls")


def test_flags_win_over_the_preset(tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("batch_size: 4\nadapter_lr: 1e-4\ntasks: [glue/cola]\nloss_cap: 2\n")
    config = parse(["--preset", str(preset), "--batch-size", "8", "--no-skip-unavailable"]).config
    assert (config.batch_size, config.adapter_lr, config.tasks, config.loss_cap) == (8, 1e-4, ("glue/cola",), 2.0)


def test_epochs_on_the_command_line_replace_the_steps_of_a_preset(tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("steps: 50\n")
    assert parse(["--preset", str(preset)]).config.steps == 50
    assert parse(["--preset", str(preset), "--epochs", "2"]).config.steps == 0
    assert parse(["--preset", str(preset), "--epochs", "2", "--steps", "7"]).config.steps == 7


def test_what_a_script_sets_for_itself_stands_between_preset_and_flags(tmp_path):
    preset = tmp_path / "some.yaml"
    preset.write_text("epochs: 2\nmax_length: 32\nbatch_size: 8\n")
    config = resolve({"preset": str(preset), "batch_size": 4}, {"epochs": 3.0, "batch_size": 6})
    assert (config.epochs, config.steps, config.max_length, config.batch_size) == (3.0, 0, 32, 4)


def test_a_script_may_take_some_of_the_flags(capsys):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, ("seed", "epochs"), {"epochs": 3.0})
    assert vars(parser.parse_args(["--epochs", "1"])) == {"epochs": 1.0, "resume": None}
    assert "(default: 3.0)" in parser.format_help()
    with pytest.raises(SystemExit):
        parser.parse_args(["--dim-z", "4"])


@pytest.mark.parametrize("name", HINTS)
def test_every_setting_has_its_type(name):
    """The wrong values are of each type that the setting does not have; 1 is also a number for ``float``."""
    value = getattr(TrainConfig(), name)
    for wrong in ("x", 1.5, 1, True, None, ("x",), [1]):
        if type(wrong) is type(value) or (isinstance(value, float) and wrong == 1 and wrong is not True):
            continue
        with pytest.raises(ConfigError, match=f"^{flag(name)} must be ") as raised:
            TrainConfig(**{name: wrong})
        assert f", got {wrong!r}" in str(raised.value)
    assert TrainConfig(**{name: value}) == TrainConfig()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["--adapter-lr", "-1"], "--adapter-lr must be above 0"),
        (["--adapter-lr", "nan"], "--adapter-lr must be above 0, got nan"),
        (["--loss-cap", "nan"], "--loss-cap must be at least 0, got nan"),
        (["--epochs", "inf"], "--epochs must be above 0, got inf"),
        (["--warmup", "1"], "--warmup is a share"),
        (["--name", "a/b"], "--name becomes a folder name"),
        (["--name", ""], "--name becomes a folder name"),
        (["--push-to-hub", "model"], "expects ORG/NAME, got 'model'"),
        (["--push-to-hub", "org/my model"], "expects ORG/NAME, got 'org/my model'"),
        (["--sampling", "log"], "invalid choice: 'log'"),
        (["--preset", "papper"], "no preset 'papper'; expected one of demo"),
        (["--stepss", "3"], "unrecognized arguments"),
        (["--step", "all"], "invalid choice: 'all'"),
        (["--sampling", "temperature", "--temperature", "0"], "--temperature must be above 0, got 0.0"),
        (
            ["--conditioning", "full", "--embeddings-per-task", "3"],
            "--conditioning full has no task embeddings; leave out",
        ),
        (["--conditioning-vectors", "a", "--task-features", "b"], "leave one out"),
        (["--conditioning-vectors", "a", "--dim-table", "512"], "which --dim-table needs; leave one out"),
        (["--conditioning", "adapter", "--dim-table", "512"], "has no task embeddings; leave out --dim-table"),
        (["--dim-table", "8"], "--dim-table 8 is less than --dim-z 32; take 0 or at least that"),
        (["--conditioning", "layernorm", "--layer-norm"], "--layer-norm does not go with --conditioning layernorm"),
        (["--conditioning", "full", "--layer-norm"], "expected one of pilault, mahabadi, adapter"),
        (["--conditioning-vectors", "a", "--embeddings-per-task", "2"], "leave one out"),
        (["--temperature", "3"], "--temperature 3.0 needs --sampling temperature, got --sampling sqrt"),
        (["--max-length", "2"], "--max-length must be at least 4"),
    ],
)
def test_wrong_usage_is_reported_and_exits_2(flags, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(flags)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--presett", "small"], "unrecognized arguments: --presett small; did you mean --preset? see"),
        (["--xyzzy", "1"], "unrecognized arguments: --xyzzy 1; see"),
        (["--steps", "x"], "argument --steps: invalid int value: 'x'; see"),
        (
            ["--preset", "nosuch"],
            "no preset 'nosuch'; expected one of demo, gpu, paper, small, or the path of a .yaml file; see",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(flags, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["metaeval train multitask"])
    with pytest.raises(SystemExit, match="2"):
        parse(flags)
    shown = "metaeval train multitask"
    assert capsys.readouterr().err == f"{shown}: error: {message} {shown} --help\n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batchsize": 4}, "unknown setting 'batchsize'; closest: batch_size"),
        ({"mixed_precision": False}, "quote them"),
        ({"batch_size": "4"}, "batch_size must be of type int, got '4'"),
        ({"batch_size": True}, "batch_size must be of type int, got True"),
        ({"tasks": "demo"}, "tasks must be a list of strings, got 'demo'"),
        ({"adapter_lr": "fast"}, "adapter_lr must be a number, got 'fast'"),
        (["demo"], "expected settings as `name: value`, got list"),
    ],
)
def test_wrong_settings_in_a_file_are_named(values, message):
    with pytest.raises(ConfigError) as error:
        check_values(values, "x.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("x.yaml: ")


def test_a_preset_that_is_not_yaml(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_preset(str(path))


def test_a_preset_cannot_run_code(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_preset(str(path))


def test_config_round_trip(tmp_path):
    config = TrainConfig(tasks=("glue/cola", "demo"), epochs=0.5, loss_cap=0.0)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    assert read_config(path) == config


def test_unreadable_config_says_where(tmp_path):
    with pytest.raises(ConfigError, match=r"check that .* is the folder of a run"):
        read_config(tmp_path / "config.json")


def test_resume_keeps_the_settings_but_may_say_where_to_push():
    stored = TrainConfig(batch_size=8)
    assert check_resume(stored, {"push_to_hub": "org/x", "batch_size": 8}).push_to_hub == "org/x"
    with pytest.raises(ConfigError, match=r"--batch-size 16 \(the run has 8\)"):
        check_resume(stored, {"batch_size": 16})


def test_help_lists_every_setting_with_its_default(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in TrainConfig().to_dict():
        assert flag(name) in text
    assert "(default: 0.001)" in text


@pytest.mark.parametrize(("flags", "resume"), [([], None), (["--resume"], ""), (["--resume", "runs/a-1"], "runs/a-1")])
def test_resume_flag(flags, resume):
    assert parse(flags).resume == resume


def test_a_tilde_is_the_home_directory_wherever_a_setting_is_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("output_dir: ~/runs\n")
    flags = [word for name in PATHS if name != "output_dir" for word in (flag(name), f"~/{name}")]
    command = parse(["--preset", "~/mine.yaml", "--resume", "~/runs/a-1", *flags[:8]])
    assert command.resume == f"{tmp_path}/runs/a-1"
    assert command.config.output_dir == f"{tmp_path}/runs"
    assert [getattr(command.config, name) for name in ("cache_dir", "pins", "task_file", "encoder")] == [
        f"{tmp_path}/cache_dir", f"{tmp_path}/pins", f"{tmp_path}/task_file", f"{tmp_path}/encoder",
    ]  # fmt: skip
    assert check_resume(command.config, command.flags) == command.config
    for name in ("conditioning_vectors", "task_features"):
        assert getattr(TrainConfig(**{name: "~/vectors"}), name) == f"{tmp_path}/vectors"
    assert TrainConfig(name="~x").name == "~x"  # the name of a folder is no path


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\udcff", "a\u2028b", "a\0"])
def test_names_that_break_lines_or_files_are_refused(name):
    for setting in ("name", "output_dir"):
        with pytest.raises(ConfigError, match=f"{flag(setting)} .* contains a line break, another control character"):
            TrainConfig(**{setting: name})


def test_a_preset_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match=r"mine.yaml is not valid YAML: "):
        read_preset(str(tmp_path / "mine.yaml"))


def test_damaged_settings_of_a_run_are_refused_by_name(tmp_path):
    for text in ("[]", "null", '{"steps": 1e999}', '{"steps": 4', '{"steps": null}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=f"^{tmp_path}/config.json"):
            read_config(tmp_path / "config.json")
