"""Recover the results of a model before its tasks were finished one by one (private parts, refitted classifiers).

The paper knows no such finish, so its methods are compared with models as trained.
"""

from __future__ import annotations

from dataclasses import replace

from metaeval_hub.results.schema import RunResult, SplitScores, TaskResult


def as_trained(run: RunResult) -> RunResult | None:
    """Return a run as the training left its model; None if the run did not finish its tasks one by one.

    The settings and the numbers of parameters are those of a run without a finish. What was not stored is None: scores
    other than accuracies, and the time without the finish.
    """
    if not any(result.more.finish for result in run.tasks.values()):
        return None
    settings = {**run.facts.settings, "refit": False, "private_rank": 0}
    parameters = run.facts.parameters
    if parameters is not None:
        parameters = {role: count for role, count in parameters.items() if role != "private"}
    facts = replace(run.facts, settings=settings, parameters=parameters, seconds=None)
    return replace(run, tasks={task: _before(result) for task, result in run.tasks.items()}, facts=facts)


def _before(result: TaskResult) -> TaskResult:
    finish = result.more.finish
    if finish is None:  # nothing was done for this task
        return result
    validation, test = (
        None if scores is None or split not in finish.before else SplitScores(finish.before[split])
        for split, scores in (("validation", result.validation), ("test", result.test))
    )
    return replace(result, validation=validation, test=test, more=replace(result.more, finish=None))
