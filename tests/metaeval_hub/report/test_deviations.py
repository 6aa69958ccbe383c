import dataclasses
import re

from metaeval_training.config import TrainConfig, flag

from metaeval_hub.report.deviations import DEVIATIONS, deviations


def test_every_option_of_the_list_exists():
    flags = {flag(field.name) for field in dataclasses.fields(TrainConfig)}
    flags |= {flag(f"no_{field.name}") for field in dataclasses.fields(TrainConfig) if field.type == "bool"}
    named = {option for each in DEVIATIONS for option in re.findall(r"--[a-z-]+", each.literal)}
    assert len(named) > 10
    assert named - flags == set()


def test_the_list_names_each_part_once_and_is_complete_in_the_table():
    parts = [each.part for each in DEVIATIONS]
    assert len(set(parts)) == len(parts)
    assert deviations().to_markdown().count("\n") == len(parts) + 1
