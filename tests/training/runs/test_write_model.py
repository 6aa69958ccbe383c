from types import SimpleNamespace

import numpy as np
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.write_model import draw_task_map

from metaeval_hub import TaskEmbeddings


def test_title_of_the_map_is_in_words_without_the_name_of_the_run(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("metaeval_training.runs.write_model.draw_map", lambda *arguments, title: titles.append(title))
    names = ("demo/film_reviews", "demo/feelings", "demo/spam")
    embeddings = TaskEmbeddings(names, np.eye(3, dtype=np.float32))
    (tmp_path / "a$b$-1").mkdir()
    draw_task_map(SimpleNamespace(task_embeddings=embeddings), RunFolder(tmp_path / "a$b$-1"), seed=0)
    assert titles == ["Map of 3 tasks by their embeddings z (PCA, seed 0)"]
