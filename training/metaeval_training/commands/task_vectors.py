"""Compute task vectors that are not learned: TextEmb and Fisher (Sileo & Moens 2022, section 3).

    python training/task_vectors.py textemb --preset small --tasks all
    python training/task_vectors.py fisher --preset small --tasks all --rates 5e-5
    python training/task_vectors.py textemb --resume runs/textemb-1

textemb   the mean of the frozen encoder's outputs over the tokens of a text (with special tokens, without padding),
          averaged over the training rows of the task; uses no labels; written to <run>/textemb
fisher    the diagonal of the empirical Fisher information of [CLS] over the training rows (appendix A, eq. 4), after
          the encoder was fine-tuned on the task; written to <run>/full/fisher, with accuracies in <run>/full.
          The same as training/single_task.py --methods full --fisher, and accepts its other flags

Both write task embeddings (n, H) in the format of learned ones; metaeval_hub.TaskEmbeddings.load reads them without
torch. A stopped run keeps its finished tasks.

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from metaeval_hub import TaskEmbeddings
from metaeval_hub.results.results_json import task_to_json
from metaeval_hub.results.schema import Details, TaskResult
from metaeval_training.commands import single_task
from metaeval_training.data.rows import TaskRows
from metaeval_training.runs import per_task
from metaeval_training.runs.lifecycle import DONE
from metaeval_training.runs.per_task import Answer, Job, Script
from metaeval_training.vectors.encoder_features import open_encoder, text_features

TEXTEMB = "textemb"
FISHER = ("--methods", "full", "--fisher", "--name", "fisher")


def work(job: Job) -> int:
    """Average the encoded texts of each task and write the vectors; return the exit code."""
    config = job.config
    encoder = open_encoder(config, per_task.all_texts(config))

    def average(task: TaskRows, show: Callable[[str], None]) -> Answer:
        train = task.splits["train"]
        features = text_features(
            encoder, train, max_length=config.max_length, batch_size=config.eval_batch_size,
            device=job.accelerator.device,
        )  # fmt: skip
        vector = features.mean.astype(np.float64).mean(axis=0)
        result = TaskResult(more=Details(averaged_rows=len(train)))
        return {"vector": vector.tolist(), **task_to_json(result)}, f"{len(train)} rows"

    outcome = per_task.run_tasks(job, [TEXTEMB], lambda job: {TEXTEMB: average})
    answers = outcome.found[TEXTEMB]
    vectors = TaskEmbeddings(tuple(answers), np.array([answer["vector"] for answer in answers.values()]))
    folder = vectors.save(job.run.path / TEXTEMB)
    per_task.write_results(
        job, TEXTEMB, per_task.parse_answers(answers), outcome.failed, encoder=encoder.base.to_dict()
    )
    job.reporter.line(f"{len(vectors)} vectors of dimension {vectors.values.shape[1]}: {folder}")
    return DONE


SCRIPT = Script(
    f"task-vectors {TEXTEMB}",
    __doc__,
    tuple(name for name in per_task.SETTINGS if name != "max_eval_rows"),
    {"name": TEXTEMB},
    {},
    lambda parser: None,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, compute and report; return the exit code."""
    kind, *others = (sys.argv[1:] if argv is None else list(argv)) or [""]
    if kind == "fisher":
        return single_task.main([*FISHER, *others], command="task-vectors fisher")
    if kind == TEXTEMB:
        return per_task.launch(per_task.parse(SCRIPT, others), work)
    wanted_help = kind in ("-h", "--help")
    print(__doc__ if wanted_help else f"expected textemb or fisher, got {kind!r}; see --help")
    return 0 if wanted_help else 2
