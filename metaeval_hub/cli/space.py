"""Write a Gradio Space for a trained model: a web page that classifies texts with any of its tasks.

  metaeval space runs/multitask-1/model --out space
  metaeval space ORG/MODEL --push ORG/NAME

The page has a list of the tasks, one or two text boxes, the probabilities and the nearest tasks. --out writes app.py,
requirements.txt, README.md and config.json; --push publishes them as a Space on the Hub. The Space loads a model of the
Hub from there, at its present commit, and contains a model of a folder.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from metaeval_hub.results.terminal import path_of

if TYPE_CHECKING:
    from metaeval_hub.space.files import Served


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="folder or Hub id of a trained model, or the folder of the run that trained it")
    places = parser.add_mutually_exclusive_group(required=True)
    places.add_argument("--out", type=path_of, metavar="FOLDER", help="write the files to this folder")
    places.add_argument("--push", metavar="ORG/NAME", help="publish the files on the Hub as this Space")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--title", help="title of the page (default: N text classification tasks)")
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument(
        "--metaeval", metavar="REQUIREMENT",
        help="how pip installs metaeval in the Space, such as 'metaeval[models] @ git+https://...' (default: the "
        "range of this version)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Load the model, and write or push the Space.

    Raises:
        ValueError: the model cannot be loaded, or an option is invalid.
        OSError: the folder cannot be written or contains other files, or the Hub does not answer.
    """
    from metaeval_hub.space.requirement import check_requirement

    if options.metaeval is not None:  # before slow libraries are imported and the model is loaded
        check_requirement(options.metaeval)
    from metaeval_hub.cli.places import check_folder
    from metaeval_hub.hub.login import push_target
    from metaeval_hub.space.files import APP, REQUIREMENTS, push_model_space, write_space

    if options.push:
        target = push_target(options.push)
        print(f"pushed: {push_model_space(target, _served(options), private=options.private or None)}")
        return
    if options.private:
        raise ValueError("--private is about a Space on the Hub, and --out writes to a folder; leave --private out")
    check_folder(options.out, "--out")
    served = _served(options)
    folder = write_space(options.out, served)
    count = len(served.model.labels)
    print(f"wrote {folder} with a page for {count:,} task{'' if count == 1 else 's'}. Next:")
    print(f"  pip install -r {folder / REQUIREMENTS}")
    print(f"  python {folder / APP}")


def _served(options: argparse.Namespace) -> Served:
    from metaeval_hub.cli.predict import load
    from metaeval_hub.hub.names import local_folder
    from metaeval_hub.hub.repo_state import repo_state
    from metaeval_hub.space.files import Served

    repo_id = commit = None
    if local_folder(options.model) is None:
        state = repo_state(options.model, revision=options.revision)
        if state is None:
            raise ValueError(f"model {options.model} does not exist, or your token has no access to it")
        repo_id, commit = options.model, state.commit
    elif options.revision:
        raise ValueError(
            f"--revision {options.revision} is a version of a model on the Hub, and {options.model} is a folder; leave "
            "--revision out"
        )
    model = load(options.model, commit)
    count = len(model.labels)
    title = options.title or f"{count:,} text classification task{'' if count == 1 else 's'}"
    return Served(model, repo_id, commit, title, options.metaeval)
