"""The data of the page agree with independent computations."""

import re
from importlib.resources import files

import numpy as np
import pytest

from metaeval_datasets.spec import TaskType
from metaeval_hub.analysis.neighbours import kept_across, kept_within
from metaeval_hub.analysis.task_titles import type_title
from metaeval_hub.analysis.type_styles import TYPE_STYLES, style_of
from metaeval_hub.page.content import Map, Space, TaskFacts, content, make_space, turned
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings


def embeddings(n=14, size=6, seed=0, prefix="a/t"):
    values = np.random.default_rng(seed).normal(size=(n, size)).astype(np.float32)
    return TaskEmbeddings(tuple(f"{prefix}{i}" for i in range(n)), values)


def test_neighbours_cosines_and_distances_agree_with_the_table():
    emb = embeddings()
    data = content([make_space("run", emb)], {})
    (run,) = data["runs"]
    centre = emb.values.mean(axis=0)
    for row, name in enumerate(emb.names):
        expected = emb.nearest(name, k=10)
        assert [data["names"][task] for task in run["near"][row]] == [other for other, _ in expected]
        assert run["cosines"][row] == pytest.approx([cosine for _, cosine in expected], abs=6e-4)
        assert run["statistics"]["distance"][row] == pytest.approx(np.linalg.norm(emb.values[row] - centre), rel=1e-4)


def test_maps_keep_their_proportions_and_fill_the_frame():
    points = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 2.0], [4.0, 1.0]])
    emb = embeddings(4)
    space = Space("run", emb, {"pca": Map(points)})
    shown = np.array(content([space], {})["runs"][0]["maps"]["pca"]["points"]).reshape(-1, 2)
    np.testing.assert_allclose(shown, [[-1, -0.25], [1, -0.25], [1, 0.25], [0, 0]], atol=1e-4)
    one_place = Space("run", emb, {"pca": Map(np.ones((4, 2)))})
    assert set(content([one_place], {})["runs"][0]["maps"]["pca"]["points"]) == {0.0}


def test_pca_notes_the_share_of_the_variance():
    emb = embeddings()
    centred = emb.values.astype(np.float64) - emb.values.astype(np.float64).mean(axis=0)
    spectrum = np.linalg.svd(centred, compute_uv=False) ** 2
    note = make_space("run", emb).maps["pca"].note
    assert f"explain {100 * spectrum[:2].sum() / spectrum.sum():.0f}% of the variance" in note


def test_second_run_is_rotated_to_match_the_first():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(9, 2))
    angle = 2.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, -1])
    order = rng.permutation(9)
    points = (reference @ rotation + [3.0, -1.0])[order]
    found = turned(points, reference, (np.arange(9), order))
    centred = reference - reference.mean(axis=0)
    np.testing.assert_allclose(found, centred[order], atol=1e-9)
    two = (np.arange(1), np.arange(1))
    assert turned(points, reference, two) is points  # one shared task does not define a direction


def test_runs_with_other_tasks_are_compared_over_those_in_common():
    one, other = embeddings(15, seed=1), embeddings(12, seed=2)
    other = TaskEmbeddings((*other.names[:11], "b/new"), other.values)
    data = content([make_space("one", one), make_space("other", other)], {})
    (common,) = data["common"]
    names = [data["names"][task] for task in common["tasks"]]
    assert names == list(one.names[:11])
    overlap = [len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in zip(*common["near"], strict=True)]
    assert overlap == pytest.approx(kept_across(one.select(names).values, other.select(names).values))
    assert len(common["near"][0][0]) == len(common["cosines"][1][0]) == 10

    same = content([make_space("one", one), make_space("two", embeddings(15, seed=3))], {})
    assert "near" not in same["common"][0]  # the neighbours of the runs are those among shared tasks
    apart = content([make_space("one", one), make_space("two", embeddings(5, prefix="b/"))], {})
    assert apart["common"][0] == {"runs": [0, 1], "tasks": [], "near": [[], []], "cosines": [[], []]}


def test_aspects_are_categories_or_numbers_and_may_be_missing():
    emb = embeddings(4)
    facts = {
        "a/t0": TaskFacts({"Type": "B", "Rows": 10, "Odd": None}),
        "a/t1": TaskFacts({"Type": "A", "Rows": float("nan")}),
        "a/t3": TaskFacts({"Rows": 12345.678, "Type": None}, labels=("no", "yes"), notes="a note"),
        "other/task": TaskFacts({"Unused": "x"}),
    }
    data = content([make_space("run", emb, statistics={"test": [0.5, np.nan, 0.25, 1.0]})], facts)
    assert data["aspects"] == [
        {"title": "Type", "categories": ["A", "B"], "values": [1, 0, None, None]},
        {"title": "Rows", "values": [10, None, None, 12346]},
    ]
    assert data["runs"][0]["statistics"]["test"] == [0.5, None, 0.25, 1]
    assert data["facts"][3] == {"notes": "a note", "labels": ["no", "yes"]}
    assert data["facts"][2] == {}


def test_the_gain_over_the_majority_is_added():
    space = make_space("run", embeddings(3), statistics={"test": [0.9, 0.5, np.nan], "majority": [0.5, 0.6, 0.5]})
    np.testing.assert_allclose(space.statistics["gain"], [0.4, -0.1, np.nan])


def test_several_embeddings_per_task_give_the_rate_kept():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(12, 1, 5))
    copies = (start + 0.01 * rng.normal(size=(12, 3, 5))).astype(np.float32)
    copies[11] = rng.normal(size=(3, 5))
    emb = TaskEmbeddings(tuple(f"t{i}" for i in range(12)), copies.mean(axis=1), copies=copies)
    space = make_space("run", emb)
    np.testing.assert_array_equal(space.statistics["kept_within"], kept_within(copies))
    assert space.statistics["kept_within"][:11].min() == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": {}}, "run: no map; a map needs at least 2 tasks, got 3"),
        ({"maps": {"tsne": Map(np.zeros((3, 2)))}}, "run: map 'tsne'; expected pca or umap"),
        ({"maps": {"pca": Map(np.zeros((2, 2)))}}, r"map pca of shape \(2, 2\); expected finite numbers, \(3, 2\)"),
        ({"maps": {"pca": Map(np.full((3, 2), np.nan))}}, "expected finite numbers"),
        ({"statistics": {"tset": np.zeros(3)}}, "run: statistic 'tset'; expected some of test, validation"),
        ({"statistics": {"test": np.zeros(2)}}, r"statistic test has shape \(2,\); expected \(3,\)"),
    ],
)
def test_errors_name_the_part_that_does_not_match(change, message):
    with pytest.raises(ValueError, match=message):
        Space(**{"name": "run", "emb": embeddings(3), "maps": {"pca": Map(np.zeros((3, 2)))}, **change})


def test_runs_need_different_names():
    space = make_space("run", embeddings(3))
    for spaces in ([], [space, space]):
        with pytest.raises(ValueError, match="expected at least one run, each with a different name"):
            content(spaces, {})


# --- the file ---


def test_task_type_looks_the_same_on_pages_and_in_figures():
    def looks(*kinds):
        emb = TaskEmbeddings(tuple(f"a/{kind}" for kind in kinds), np.eye(len(kinds), dtype=np.float32))
        titles = ["Not known" if kind == "unknown" else type_title(kind) for kind in kinds]
        facts = {f"a/{kind}": TaskFacts({"Task type": title}) for kind, title in zip(kinds, titles, strict=True)}
        (column,) = content([make_space("r", emb)], facts)["aspects"]
        return dict(zip(column["categories"], column["looks"], strict=True))

    kinds = [kind.value for kind in TaskType]
    assert looks("nli", "unknown") == {"NLI": 5, "Not known": 8}
    assert looks(*kinds, "unknown").items() >= looks("nli", "unknown").items()
    styles = content([make_space("r", TaskEmbeddings(("a/x", "a/y"), np.eye(2, dtype=np.float32)))], {})["styles"]
    for kind in kinds:
        assert styles[looks(kind, "unknown")[type_title(kind)]]["path"] == style_of(kind).path
    assert [each["colour"] for each in styles] == [style.colour for style in TYPE_STYLES]
    script = (files("metaeval_hub.page") / "app" / "marks.js").read_text(encoding="utf-8")
    assert not {style.colour for style in TYPE_STYLES} & set(re.findall(r"#\w{6}", script))
