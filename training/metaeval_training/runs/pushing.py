"""What a run sends to the Hub: checkpoints while it goes on, and all that it found at the end.

The Hub may be slow, down or refuse: that costs a push, never the run. The client tries again what may pass.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub.utils import disable_progress_bars

from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.hub.client import push_files, push_folder
from metaeval_hub.model.storage import OWN_FILES
from metaeval_hub.task_data.task_features import FEATURE_FILES
from metaeval_training.config import TrainConfig
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.results import card_results

EMBEDDINGS_ENDING = "-task-embeddings"  # of the name of the dataset, beside the model
LAST_WAIT = 60.0  # seconds that the end of a run waits for a checkpoint that is still being sent


class CheckpointPusher:
    """Sends the model of a checkpoint from a thread of its own; training never waits for the Hub.

    While one is being sent, only the newest of those that came since is kept for the next turn.

    Args:
        repo_id: where to.
        private: whether a repository made for it is private.
        folder: where models wait to be sent.
        tell: told what was sent, and what could not be.
    """

    def __init__(self, repo_id: str, private: bool, folder: Path, tell: Callable[[str], None]) -> None:
        self.repo_id, self.private, self.folder, self.tell = repo_id, private, folder, tell
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        self._waiting: tuple[Path, int] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._send_all, name="push-checkpoints", daemon=True)
        self._thread.start()

    def __enter__(self) -> CheckpointPusher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(LAST_WAIT if kind is None else 0)  # who stops a run does not want to wait

    def push(self, model: ConditionalAdapterModel, step: int) -> None:
        """Send the model as it is now, soon."""
        target = self.folder / f"step-{step}"
        try:
            model.save_pretrained(target)
        except OSError as error:
            self.tell(f"the model of step {step} could not be written to be pushed: {error}")
            return
        with self._changed:
            before, self._waiting = self._waiting, (target, step)
            self._changed.notify()
        if before is not None:
            shutil.rmtree(before[0], ignore_errors=True)

    def close(self, wait: float = LAST_WAIT) -> None:
        """Send no more; wait at most so many seconds for what is on its way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(wait)
        if not self._thread.is_alive():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return
                assert self._waiting is not None  # noqa: S101 - what was waited for
                (folder, step), self._waiting = self._waiting, None
            try:
                commit = push_folder(
                    folder, self.repo_id, private=self.private or None, message=f"Step {step}",
                    remove=(*OWN_FILES, *FEATURE_FILES),
                )  # fmt: skip
                self.tell(f"step {step} is at {commit.commit_url}")
            except Exception as error:  # whatever it is, the next checkpoint is another try
                self.tell(f"step {step} could not be pushed, the run goes on: {type(error).__name__}: {error}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def prepare_pushing(config: TrainConfig, reporter: Reporter) -> None:
    """Say at the start what would make the push at the end fail, as far as that is known without asking the Hub."""
    disable_progress_bars()
    if not huggingface_hub.get_token():
        reporter.warn(
            f"nobody is logged in to the Hub: pushing to {config.push_to_hub} will fail. Log in (hf auth login) or set "
            "HF_TOKEN; the run itself needs neither"
        )


def push_run(run: RunFolder, config: TrainConfig, reporter: Reporter) -> bool:
    """Send what a finished run wrote: the model with its card, the task embeddings, results and map.

    Args:
        run: the folder.
        config: with where to push.
        reporter: told what was sent, and what could not be.

    Returns:
        Whether all of it arrived.
    """
    repo_id, private = config.push_to_hub, config.private or None
    try:
        model = ConditionalAdapterModel.from_pretrained(run.model)
        results = json.loads(run.results.read_text(encoding="utf-8"))
        url = model.push_to_hub(repo_id, private=private, results=card_results(results))
        files = {path.name: path for path in (run.results, run.task_map) if path.exists()}
        push_files(files, repo_id, message="Upload results")
        reporter.line(f"pushed to {repo_id}: {url}")
        if run.task_embeddings.exists():
            table = TaskEmbeddings.load(run.task_embeddings)
            url = table.push_to_hub(f"{repo_id}{EMBEDDINGS_ENDING}", model=repo_id, private=private)
            reporter.line(f"pushed to {repo_id}{EMBEDDINGS_ENDING}: {url}")
    except Exception as error:  # the run is complete on disk, whatever the client raises
        reporter.error(f"the push to {repo_id} failed: {type(error).__name__}: {error}")
        return False
    return True
