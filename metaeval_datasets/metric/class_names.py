"""The class names of the tasks, for the metric module in this folder. A published module has a copy as plain data."""

from collections.abc import Iterator, Mapping

from metaeval_datasets.catalog import all_tasks, get_task


class ClassNames(Mapping[str, tuple[str, ...]]):
    """Task -> class names.

    A registered task is looked up when it is asked for, because it may be registered after this module is imported.
    Only the catalogue is listed, because a published metric cannot know the tasks of a user.
    """

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Return the class names of a task of the catalogue, of a registered task, or of a task of a plug-in."""
        return get_task(name).names

    def __iter__(self) -> Iterator[str]:
        """Return the names of the tasks of the catalogue."""
        return iter(all_tasks())

    def __len__(self) -> int:
        """Return the number of tasks of the catalogue."""
        return len(all_tasks())


CLASS_NAMES = ClassNames()
