"""Build the files of a Gradio Space for a model, which needs no Gradio.

The program of the Space is app.py of this folder, copied unchanged. Everything that depends on the model is in
config.json, so no name or text of a repository ever becomes part of code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from metaeval_hub.hub.card_templates import template, yaml_text
from metaeval_hub.hub.spaces import CARD, push_space
from metaeval_hub.model.model import ConditionalAdapterModel
from metaeval_hub.safe_files.printable import one_line
from metaeval_hub.safe_files.replace_folder import replacing, target_folder
from metaeval_hub.space.requirement import check_requirement

SPACE_TAG = "metaeval-model-space"  # in the card of every Space for a model
APP, CONFIG, REQUIREMENTS, MODEL_FOLDER = "app.py", "config.json", "requirements.txt", "model"
FORMAT = "metaeval-space"
GRADIO = "6.31.0"  # the app was tried with this version
GRADIO_RANGE = "gradio>=6,<7"
PYTHON = "3.11"


@dataclass(frozen=True)
class Served:
    """The model of a Space.

    Args:
        model: the model.
        repo_id: its Hub id, from which the Space loads it; None stores the model in the Space.
        revision: full commit id, with a Hub id.
        title: title of the page.
        requirement: line of requirements.txt that installs metaeval; None is a range around this version.
    """

    model: ConditionalAdapterModel
    repo_id: str | None
    revision: str | None
    title: str
    requirement: str | None = None


def texts_of(served: Served) -> dict[str, str]:
    """Return the files of the Space except the model: name -> content.

    Raises:
        ValueError: the requirement is not one line that installs metaeval.
    """
    config = {
        "format": FORMAT, "repo_id": served.repo_id, "revision": served.revision, "title": one_line(served.title),
    }  # fmt: skip
    return {
        APP: Path(__file__).with_name(APP).read_text(encoding="utf-8"),
        CONFIG: json.dumps(config, indent=1) + "\n",
        REQUIREMENTS: f"{_requirement(served)}\n{GRADIO_RANGE}\n",
        CARD: _card(served),
    }


def _requirement(served: Served) -> str:
    line = served.requirement
    if line is None:
        extras = "models,encoder" if served.model.base.kind == "package" else "models"
        major, minor, *_ = version("metaeval").split(".")
        return f"metaeval[{extras}]>={major}.{minor},<{major}.{int(minor) + 1}"
    return check_requirement(line)


def _card(served: Served) -> str:
    title = one_line(served.title)
    metadata = {
        "title": title,
        "emoji": "🏷️",
        "colorFrom": "blue",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "python_version": PYTHON,
        "app_file": APP,
        "pinned": False,
        **({"models": [served.repo_id]} if served.repo_id else {}),
        "tags": ["metaeval", SPACE_TAG],
    }
    place = f"[{served.repo_id}](https://huggingface.co/{served.repo_id})" if served.repo_id else f"`{MODEL_FOLDER}/`"
    count = len(served.model.labels)
    return template("model_space.md").substitute(
        metadata=yaml_text(metadata), title=title, model=place, tasks=f"{count:,} task{'' if count == 1 else 's'}"
    )


def write_space(folder: Path | str, served: Served) -> Path:
    """Write the files of a Space to a folder, and return the folder.

    Raises:
        FileExistsError: the folder contains files that are not those of a Space of metaeval.
        OSError: the files cannot be written.
        ValueError: the requirement is not one line that installs metaeval.
    """
    folder, texts = target_folder(folder), texts_of(served)
    _check_place(folder)
    with replacing(folder, (f"{MODEL_FOLDER}/**/*",), last=CONFIG) as new:
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8")
        if served.repo_id is None:
            served.model.save_pretrained(new / MODEL_FOLDER)
    return folder


def _check_place(folder: Path) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        found = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise FileExistsError(f"{folder} contains other files, which app.py would be mixed with; give a new folder")


def push_model_space(repo_id: str, served: Served, *, private: bool | None = None) -> str:
    """Push a Space to the Hub, where it is created if it does not exist, and return the URL of the commit.

    Raises:
        ValueError: the Space exists and metaeval did not create it; or it is public and ``private`` is True.
        HubError: the Hub refuses the commit or does not answer.
    """
    with _model_files(served) as paths:
        return push_space(
            {**texts_of(served), **paths}, repo_id, mark=SPACE_TAG, message=one_line(served.title), private=private,
            sdk="gradio", remove=(f"{MODEL_FOLDER}/*",),
        )  # fmt: skip


@contextmanager
def _model_files(served: Served) -> Iterator[dict[str, Path]]:
    """Yield the files of a model that the Space stores: path in the Space -> local file."""
    if served.repo_id is not None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as name:
        served.model.save_pretrained(Path(name) / MODEL_FOLDER)
        paths = (path for path in Path(name).rglob("*") if path.is_file())
        yield {path.relative_to(name).as_posix(): path for path in paths}
