"""Push checkpoints to the Hub during a run, and the model, embeddings and results at its end.

If the Hub is slow, down or refuses, a push may fail, but the run does not. The client retries transient failures.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub.utils import disable_progress_bars

from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.hub.upload import push_files, push_folder
from metaeval_hub.model.storage import OWN_FILES
from metaeval_hub.results.run_results import read_results
from metaeval_hub.task_data.task_features import FEATURE_FILES
from metaeval_training.config import TrainConfig
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.results import card_results

EMBEDDINGS_ENDING = "-task-embeddings"  # appended to the model's name to name the dataset
LAST_WAIT = 60.0  # seconds that the end of a run waits for a checkpoint that is being pushed


class CheckpointPusher:
    """Pushes models of checkpoints in a background thread, so that training never waits for the Hub.

    While one model is being pushed, only the newest later one waits; older waiting models are dropped.

    Args:
        repo_id: repository to push to.
        private: whether a new repository is private.
        folder: for models that wait.
        show: called with a message about each push.
    """

    def __init__(self, repo_id: str, private: bool, folder: Path, show: Callable[[str], None]) -> None:
        self.repo_id, self.private, self.folder, self.show = repo_id, private, folder, show
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        self._waiting: tuple[Path, int] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._send_all, name="push-checkpoints", daemon=True)
        self._thread.start()

    def __enter__(self) -> CheckpointPusher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(LAST_WAIT if kind is None else 0)  # a stopped run does not wait

    def push(self, model: ConditionalAdapterModel, step: int) -> None:
        """Save the model as it is now, and push it in the background."""
        target = self.folder / f"step-{step}"
        try:
            model.save_pretrained(target)
        except OSError as error:
            self.show(f"the model of step {step} could not be saved for its push, the run continues: {error}")
            return
        with self._changed:
            before, self._waiting = self._waiting, (target, step)
            self._changed.notify()
        if before is not None:
            shutil.rmtree(before[0], ignore_errors=True)

    def close(self, wait: float = LAST_WAIT) -> None:
        """Push no more models; wait at most ``wait`` seconds for the one that is being pushed."""
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
                self.show(f"pushed step {step}: {commit.commit_url}")
            except Exception as error:  # whatever the reason, the next checkpoint is pushed again
                self.show(f"step {step} could not be pushed, the run continues: {type(error).__name__}: {error}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def prepare_pushing(config: TrainConfig, reporter: Reporter) -> None:
    """Warn at the start if the push at the end will fail, as far as that is known without a request to the Hub."""
    disable_progress_bars()
    if not huggingface_hub.get_token():
        reporter.warn(
            f"not logged in to the Hub: the push to {config.push_to_hub} will fail. Log in (hf auth login) or set "
            "HF_TOKEN; training itself needs neither"
        )


def push_run(run: RunFolder, config: TrainConfig, reporter: Reporter) -> bool:
    """Push the model of a finished run with its card, task embeddings, results and map.

    Args:
        run: the folder.
        config: settings of the run, which name the repository.
        reporter: shows what was pushed, or why it failed.

    Returns:
        Whether everything was pushed.
    """
    repo_id, private = config.push_to_hub, config.private or None
    try:
        model = ConditionalAdapterModel.from_pretrained(run.model)
        results = read_results(run.results, run.path.name)
        url = model.push_to_hub(repo_id, private=private, results=card_results(results.tasks))
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
