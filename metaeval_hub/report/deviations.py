"""The complete list of differences from the paper, for every report and for the documentation.

A report compares the paper's numbers with those of its runs, so that a reader must be able to see in one place what
else differs. A new difference belongs here first.
"""

from __future__ import annotations

from dataclasses import dataclass

from metaeval_hub.results.tables import Column, Table


@dataclass(frozen=True)
class Deviation:
    """One difference from the paper.

    Args:
        part: part of the method.
        paper: what the paper does, with its section; or that it does not say.
        here: what metaeval does by default or in the preset ``small``, with the measured effect where it is known.
        literal: how to get the paper's way; "" if it is not offered.
    """

    part: str
    paper: str
    here: str
    literal: str = ""


DEVIATIONS: tuple[Deviation, ...] = (
    # --- Data ---
    Deviation(
        "tasks",
        "101 tasks (section 4)",
        "the tasks that a run names; our report has 57 of them, those with at least "
        "300 training rows in the copies of the sources that we had",
        "--tasks all",
    ),
    Deviation(
        "rows",
        "as published",
        "the careful edition corrects labels, columns and splits; the page of each task lists what it changes",
        "--edition paper",
    ),
    Deviation(
        "missing splits",
        "20 % of the rows are the test set, 20 % of the others validation (section 4)",
        "the same shares, but stratified by class, with equal texts and groups of related rows on one side",
    ),
    Deviation(
        "rows in two splits",
        "not mentioned",
        "training rows whose text is in an evaluation split of any task of the run are left out",
        "--decontaminate no",
    ),
    Deviation(
        "training rows", "at most 30,000 per task (section 5.1)", "`small`: at most 600", "--max-train-rows 30000"
    ),
    Deviation("evaluation rows", "all", "`small`: at most 300 of validation and of test", "--max-eval-rows 0"),
    Deviation("length", "128 tokens (section 5.1)", "`small`: 64 tokens", "--max-length 128"),
    Deviation(
        "task types",
        "given for the tasks that section 5.4 names",
        "inferred by us for the other tasks, from their descriptions",
    ),
    # --- Model ---
    Deviation(
        "encoder",
        "RoBERTa-base, trained without labels (section 5.1)",
        "`small`: all-MiniLM-L6-v2, an encoder of 22.7M parameters that was trained on labelled pairs",
        "--preset paper",
    ),
    Deviation(
        "text vector",
        "the state of [CLS] (section 3)",
        "`small`: the mean over the tokens, 2.3 points better than [CLS] on validation",
        "--pooling cls",
    ),
    Deviation(
        "adapter",
        "a LayerNorm behind the bottleneck, with learned gamma and beta (eq. 1)",
        "no LayerNorm by default",
        "--layer-norm",
    ),
    Deviation(
        "biases of the bottleneck",
        "not mentioned",
        "learned; for `mahabadi` generated from z, as the matrices",
    ),
    Deviation(
        "`mahabadi`: task-specific numbers",
        "512 (table 1)",
        "z itself, 32 numbers, as for the other methods",
        "--dim-table 512",
    ),
    Deviation(
        "initial values",
        "not mentioned",
        "the maps of z start at 0, z at N(0, 1/Z), so that training starts close to the encoder's own function",
    ),
    Deviation(
        "dropout of the frozen encoder", "not mentioned", "off, because it costs 1.5 points", "--encoder-dropout"
    ),
    # --- Training ---
    Deviation(
        "step",
        "64 rows of one task (section 5.1)",
        "`small`: 32 rows, each of a randomly drawn task: as accurate in 0.6 of the time",
        "--step one-task --batch-size 64",
    ),
    Deviation(
        "sampling of tasks",
        "by the square root of the size of a task (section 5.1); whether before or after the limit "
        "of 30,000 rows is not mentioned",
        "by the square root of the number of rows that are kept. With at most 600 "
        "rows per task, sampling is therefore almost uniform",
    ),
    Deviation(
        "limit of the loss",
        "the loss of a task is capped at 1 (section 5.1)",
        "its gradient is scaled down to that of "
        "a loss of 1. In steps of mixed tasks a task has one or two rows, so that the factor is one of single rows",
        "--step one-task",
    ),
    Deviation(
        "learning rate",
        "2e-5 for all weights (section 5.1)",
        "one rate each for adapters, maps of z, classifiers and z, chosen on validation",
        "--adapter-lr 2e-5 --map-lr 2e-5 --head-lr 2e-5 --z-lr 2e-5",
    ),
    Deviation(
        "schedule",
        "not mentioned",
        "rates rise for 6 % of the steps and then fall linearly to 0; gradients are scaled to a norm of at most 1",
        "--schedule constant --warmup 0 --clip-norm 0",
    ),
    Deviation(
        "optimizer",
        "Adam (section 5.1)",
        "Adam that updates only the z and label vectors of the tasks in a step",
    ),
    Deviation(
        "private parts",
        "none: z, classifiers and shared weights (section 3)",
        "`small`: a low-rank update per task of 36,864 numbers, trained alone for three passes after the shared one; "
        "with refitted classifiers 3.4 points better",
        "--private-rank 0",
    ),
    Deviation("number format", "not mentioned", "our runs use bfloat16 for the encoder", "--mixed-precision no"),
    Deviation(
        "classifiers after training",
        "stay as trained",
        "`small`: refitted as logistic regressions, in single-task baselines too; 1.0 point better",
        "--no-refit",
    ),
    # --- Analyses ---
    Deviation(
        "features-aware z",
        "W is trained as everything else (section 5.6)",
        "W starts at 0 and has its own rate; |W phi| / |z| is stored with each run",
    ),
    Deviation(
        "Fisher vectors",
        "used as they are (appendix A)",
        "shown as they are and standardized: at their scale of one "
        "thousandth, a logistic regression with default settings predicts the most frequent class",
    ),
    Deviation(
        "domains",
        "clusters of spherical text embeddings (section 5.5)",
        "clusters of the mean word vectors of the same encoder, so TextEmb determines the domain by construction",
    ),
    Deviation(
        "shared labels",
        "classes of the same name (section 5.6)",
        "classes of the same canonical name, which we gave to the classes of each task",
    ),
    Deviation(
        "neighbours",
        "10 nearest (section 5.4)",
        "1 and 10 nearest, each with the share that chance gives",
    ),
    Deviation(
        "probing",
        "leaves one task out (section 5.5)",
        "also leaves out the complete group of the task, because types are tied to sources; p values by permutation",
    ),
    Deviation(
        "intervals",
        "none",
        "by bootstrap over the groups of tasks; the tests of the claims are adjusted by Holm",
    ),
)


def deviations() -> Table:
    """Return the list as a table."""
    columns = (
        *(Column("part", "part"), Column("paper", "paper"), Column("here", "here")),
        Column("literal", "the paper's way"),
    )
    records = tuple(
        {
            "part": each.part,
            "paper": each.paper,
            "here": each.here,
            "literal": f"`{each.literal}`" if each.literal else "",
        }
        for each in DEVIATIONS
    )
    note = "Entries with `small` are values of that preset. The last column contains options of training/multitask.py."
    return Table("Every known difference from the paper", columns, records, (note,))
