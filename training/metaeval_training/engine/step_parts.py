"""Process a step in more parts if it runs out of memory, and remember since which step, for an exact resume."""

from __future__ import annotations

from metaeval_training.runs.folder import RunFolder


class StepParts:
    """The number of parts in which each step is processed.

    The number is doubled at a step that runs out of memory. It is stored in the folder of the run with that step:
    a run that resumes from an earlier checkpoint then changes it at the same step and ends with the same bits, also on
    a device with more memory.

    Args:
        first: number of parts of the first step.
        run: folder of the run; None: nothing is stored.
    """

    def __init__(self, first: int, run: RunFolder | None) -> None:
        self._run = run
        stored = None if run is None else run.read_sealed(run.step_parts)
        self._since = {0: first} if stored is None else {int(step): parts for step, parts in stored["since"].items()}

    def at(self, step: int) -> int:
        """Return the number of parts of a step; the first step is 0."""
        return self._since[max(since for since in self._since if since <= step)]

    def double(self, step: int) -> int:
        """Double the parts from a step on; return their number.

        Raises:
            OSError: the number could not be stored.
        """
        parts = 2 * self.at(step)
        self._since = {since: number for since, number in self._since.items() if since < step} | {step: parts}
        if self._run is not None:
            self._run.write_sealed(self._run.step_parts, {"since": self._since})
        return parts
