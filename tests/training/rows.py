"""Four rows in the format of a task."""

from datasets import ClassLabel, Dataset, Features, Value

TEXTS = ["a red house", "blue", "a very red and very old house", "old blue house"]


def dataset(labels=(0, 1, 0, 1), names=("no", "yes"), pairs=False):
    columns = {"sentence1": TEXTS, "sentence2": TEXTS[::-1]} if pairs else {"sentence": TEXTS}
    features = Features(
        {**dict.fromkeys(columns, Value("string")), "label": ClassLabel(names=list(names)), "idx": Value("int64")}
    )
    return Dataset.from_dict({**columns, "label": list(labels), "idx": list(range(4))}, features=features)
