"""The page in a real browser, loaded from a file: drawing, clicks, keys, search and accessibility.

Where a program is named by METAEVAL_CHROMIUM, it has to work; else the tests are skipped where there is none.
"""

import math
import os
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest

from metaeval_hub.analysis.neighbours import chance_across, kept_across, nearest_vectors
from metaeval_hub.page.content import Example, Map, Space, TaskFacts, make_space
from metaeval_hub.page.write import write_page
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from tests.chromium import BrowserError, Chromium, find_chromium

TYPES = ("Acceptability", "Emotion", "NLI", "Other")
PHONE = {"width": 390, "height": 844, "scale": 2, "touch": True}
COLOURS = {
    "Acceptability": "#0072B2",
    "Emotion": "#009E73",
    "NLI": "#56B4E9",
    "Other": "#7F7F7F",
}
EVIL = "</script><img src=x onerror='window.hit=1'><b>bold</b>"


@pytest.fixture(scope="module")
def chromium():
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on the path (apt-get install chromium; METAEVAL_CHROMIUM names another program)")
    try:
        with Chromium(program) as browser:
            browser.send("Browser.getVersion")
            yield browser
    except (BrowserError, OSError) as error:
        if "METAEVAL_CHROMIUM" in os.environ:
            raise
        pytest.skip(f"{program} does not start: {error}")


@pytest.fixture
def show(chromium):
    """Opens a page; closes it in the end, when it must not have complained."""
    pages = []

    def open_page(path, address="", **screen):
        page = chromium.page(path.as_uri() + address, **screen)
        pages.append(page)
        page.wait("performance.getEntriesByName('map-drawn').length")
        page.frame()
        return page

    yield open_page
    complaints = [text for page in pages for text in page.complaints()]
    for page in pages:
        page.close()
    assert complaints == []


def make_runs(n=24, runs=2, seed=0):
    """Tasks in four clusters; a map that is known; a second run with some noise."""
    rng = np.random.default_rng(seed)
    names = tuple(f"group{i % 3}/task{i}" for i in range(n))
    values = rng.normal(size=(4, 8))[np.arange(n) % 4] + 0.6 * rng.normal(size=(n, 8))
    spaces = []
    for run in range(runs):
        emb = TaskEmbeddings(names, (values + 0.4 * run * rng.normal(size=values.shape)).astype(np.float32))
        space = make_space(
            f"run {run}",
            emb,
            statistics={
                **{"test": np.linspace(0.5, 0.9, n), "majority": np.full(n, 0.4)},
                **{"cos_z_z0": np.full(n, 0.2), "test_rows": np.full(n, 1277)},
                **{"train_rows": np.full(n, 300 * (run + 1))},
            },
            about={"Encoder": "tiny"},
        )
        circle = 2 * np.pi * np.arange(n) / n
        spaces.append(
            Space(
                space.name,
                emb,
                {**space.maps, "umap": Map(np.stack([np.cos(circle), np.sin(circle)], 1), "A circle.")},
                space.statistics,
                space.about,
            )
        )
    facts = {
        name: TaskFacts(
            {"Task type": TYPES[i % 4], "Training rows": 10 * 2 ** min(i, 23)},
            labels=("no", "yes"),
            source="some/source (default)",
            repo="some/source",
            commit="0123456789abcdef",
            notes=f"Note on {name}.",
            examples=[Example("yes", ("A text.", "Another."))],
        )
        for i, name in enumerate(names)
    }
    return spaces, facts


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    spaces, facts = make_runs()
    path = write_page(tmp_path_factory.mktemp("page") / "two runs.html", spaces, facts)
    return SimpleNamespace(path=path, spaces=spaces, facts=facts)


def at(page, name, number=0):
    place = page.js(f"taskMap.place({name!r}, {number})")
    return place["x"], place["y"]


def choose(page, control, value):
    """What picking an option of a select does; its list is drawn by the system, out of the page's reach."""
    page.js(
        f"(c => {{ c.value = {value!r}; c.dispatchEvent(new Event('change', {{bubbles: true}})) }})"
        f"(document.getElementById({control!r}))"
    )
    page.frame()


def pixel(page, x, y, ground="transparent"):
    """The colour of the first map at a place of the page, #RRGGBB; read from a copy, as the browser advises.

    What is drawn faintly has its full colour here unless it lies on a ``ground``.
    """
    r, g, b, _ = page.js(
        "(() => { const c = document.querySelector('canvas'), b = c.getBoundingClientRect(), d = devicePixelRatio;"
        " const o = new OffscreenCanvas(1, 1).getContext('2d');"
        f" o.fillStyle = '{ground}'; o.fillRect(0, 0, 1, 1);"
        f" o.drawImage(c, ({x} - b.x) * d, ({y} - b.y) * d, 1, 1, 0, 0, 1, 1);"
        " return [...o.getImageData(0, 0, 1, 1).data] })()"
    )
    return f"#{r:02X}{g:02X}{b:02X}"


def shade_of(colour):
    """Red, green and blue of #RRGGBB."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


# --- the page as it opens ---


def test_every_task_is_drawn_in_its_colour_where_its_coordinates_say(show, two):
    page = show(two.path)
    emb, points = two.spaces[0].emb, two.spaces[0].maps["pca"].points
    places = np.array([at(page, name) for name in emb.names])
    # the same scale in both directions, y upwards
    scale = np.ptp(places[:, 0]) / np.ptp(points[:, 0])
    expected = (points - points.mean(axis=0)) * [scale, -scale]
    np.testing.assert_allclose(places - places.mean(axis=0), expected, atol=0.5)
    assert [pixel(page, *at(page, f"group{i % 3}/task{i}")) for i in range(4)] == [COLOURS[kind] for kind in TYPES]
    assert page.text("h1") == "Map of 24 tasks"
    assert [text.split("\n") for text in page.texts("#legend button")] == [[kind, "6"] for kind in TYPES]


def test_page_sends_no_requests(show, two):
    page = show(two.path)
    page.click(at(page, "group0/task0"))
    assert page.requests() == [two.path.as_uri()]


def test_second_map_is_reached_by_switch_and_keyboard(show, two):
    page = show(two.path)
    page.click("#methods label:last-child")
    page.frame()
    assert "A circle." in page.text("#panel")
    left, right = at(page, "group0/task12"), at(page, "group0/task0")  # at half a turn from each other
    assert left[1] == pytest.approx(right[1], abs=0.5)
    assert right[0] - left[0] > 300
    page.key("ArrowLeft")  # arrow keys move between radio buttons
    page.frame()
    assert "of the variance" in page.text("#panel")


def test_tasks_move_from_map_to_map(show, two):
    page = show(two.path, still=False)
    start = at(page, "group0/task0")
    page.js("document.querySelector('#methods label:last-child input').click()")
    page.wait("Math.abs(taskMap.place('group0/task0').y - taskMap.place('group0/task12').y) < 0.5")
    assert at(page, "group0/task0") != start


# --- click and search ---


def test_click_shows_a_task_and_its_neighbours_as_buttons(show, two):
    page = show(two.path)
    page.click(at(page, "group2/task5"))
    page.frame()
    assert page.text("#panel h2") == "group2/task5"
    emb = two.spaces[0].emb
    expected = [f"{name}\n{cosine:.2f}".replace("-", "−") for name, cosine in emb.nearest("group2/task5")]
    assert page.texts("#panel .nearest button") == expected
    panel = page.text("#panel")
    sections = dict(zip(page.texts("#panel section h3"), page.texts("#panel section"), strict=True))
    assert sections["Notes"].split("\n")[-1] == "Note on group2/task5."
    row = emb.index("group2/task5")
    assert f"{100 * np.linspace(0.5, 0.9, 24)[row]:.1f}% on 1,277 test rows; majority class 40.0%" in panel
    facts = dict(zip(page.texts("#panel dt"), page.texts("#panel dd"), strict=True))
    assert facts["Task type"] == "Emotion"
    assert facts["Training rows"] == "320 (300 used)"
    assert facts["Labels"] == "no, yes"
    assert float(facts["Distance from the centre"]) == pytest.approx(emb.distances_from_centre()[row], abs=0.006)
    link = page.js("(a => [a.href, a.rel])(document.querySelector('#panel a'))")
    assert link == ["https://huggingface.co/datasets/some/source/tree/0123456789abcdef", "noopener noreferrer"]

    page.click("#panel summary")
    assert "A text.\nAnother." in page.text("#panel .examples")
    nearest = emb.nearest("group2/task5")[0][0]
    page.click("#panel .nearest li:first-child button")
    assert page.wait("taskMap.selected()") == nearest
    assert page.text("#panel h2") == nearest
    assert "A text." in page.text("#panel .examples")  # what was unfolded stays so
    page.js("history.back()")
    page.wait("taskMap.selected() === 'group2/task5'")
    page.key("Escape")
    assert page.js("taskMap.selected()") is None
    assert page.text("#panel h2") == "run 0"


def test_click_on_no_task_clears_the_selection_and_drag_does_not_select(show, two):
    page = show(two.path)
    page.click(at(page, "group0/task3"))
    assert page.js("taskMap.selected()") == "group0/task3"
    start = at(page, "group1/task1")
    page.drag(start, (start[0] + 60, start[1] + 25))
    assert page.js("taskMap.selected()") == "group0/task3"
    page.frame()
    assert at(page, "group1/task1") == pytest.approx((start[0] + 60, start[1] + 25), abs=0.5)
    page.click("#zoom [data-zoom=all]")
    page.click((6, 762))
    assert page.js("taskMap.selected()") is None


def test_search_finds_by_part_type_and_label_and_enter_goes_there(show, two):
    page = show(two.path)
    page.key("/")
    page.write("task2")
    found = page.texts("#found [role=option]")
    assert found[0] == "group2/task2"
    assert sorted(found) == sorted(f"group{i % 3}/task{i}" for i in (2, 20, 21, 22, 23))
    assert page.text("#status") == "5 tasks found"
    page.key("ArrowDown")
    active = page.js("document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).innerText")
    assert active == page.texts("#found [aria-selected=true]")[0] == found[1]
    page.key("Enter")
    assert page.js("taskMap.selected()") == found[1]
    assert page.text("#panel h2") == found[1]
    assert page.js("document.getElementById('search').value") == ""
    assert page.js("document.getElementById('found').hidden")

    page.click("#search")
    page.write("nli group1")
    assert sorted(page.texts("#found [role=option]")) == ["group1/task10", "group1/task22"]
    page.key("Escape")
    page.write("nothing of the kind")
    assert page.texts("#found li") == ["No task found"]
    page.key("Enter")  # goes nowhere
    assert page.js("taskMap.selected()") == found[1]


def test_search_dims_all_other_tasks(show, two):
    page = show(two.path)
    page.click("#search")
    page.write("nli")
    page.frame()
    assert pixel(page, *at(page, "group2/task2")) == COLOURS["NLI"]
    assert pixel(page, *at(page, "group0/task0")) != COLOURS["Acceptability"]
    labelled = {label["task"] for label in page.js("taskMap.labels()")}
    assert labelled <= {f"group{i % 3}/task{i}" for i in range(2, 24, 4)}


def test_arrow_key_opens_the_whole_list(show, two):
    page = show(two.path)
    page.js("document.getElementById('search').focus()")
    page.key("ArrowDown")
    assert page.texts("#found [role=option]") == list(two.spaces[0].emb.names)


def test_address_selects_a_task_and_ignores_unknown_names(show, two):
    page = show(two.path, "#group1%2Ftask7")
    assert page.text("#panel h2") == "group1/task7"
    for wrong in ("#nothing", "#%E0%A4%A", "#<img src=x onerror=window.hit=1>"):
        assert show(two.path, wrong).js("taskMap.selected()") is None


ACCURACIES = {  # test, validation, majority, test rows -> text on the page
    "a/below": ([0.51264, 0.5, 0.52708, 277], "51.3% on 277 test rows; not above the majority class, 52.7%"),
    "a/above": ([0.6, np.nan, 0.5, 1], "60.0% on 1 test row; majority class 50.0%"),
    "a/same": ([0.5, np.nan, 0.5, np.nan], "50.0% on test rows; not above the majority class, 50.0%"),
    "a/untested": ([np.nan, 0.7, 0.5, np.nan], "No test accuracy; majority class 50.0%"),
    "a/alone": ([0.25, np.nan, np.nan, 40], "25.0% on 40 test rows"),
}


def test_accuracy_not_above_the_majority_class_is_stated(show, tmp_path):
    values = np.random.default_rng(0).normal(size=(len(ACCURACIES), 4)).astype(np.float32)
    numbers = np.array([numbers for numbers, _ in ACCURACIES.values()]).T
    statistics = dict(zip(("test", "validation", "majority", "test_rows"), numbers, strict=True))
    space = make_space("run", TaskEmbeddings(tuple(ACCURACIES), values), statistics=statistics)
    page = show(write_page(tmp_path / "map.html", [space], {}))
    distances = space.emb.distances_from_centre()
    farthest = [space.emb.names[row] for row in np.argsort(-distances)]
    rows = [text.split("\n") for text in page.texts("#panel .tasks button")]
    assert [row[0] for row in rows] == farthest
    assert {row[0] for row in rows if "not above the majority class" in row} == {"a/below", "a/same"}
    assert "(the paper's measure of how specific a task is) in run." in page.text("#panel")
    for name, (_, words) in ACCURACIES.items():
        page.click(at(page, name))
        assert page.text("#panel h2") == name
        assert page.text("#panel .scores") == words
    page.click(at(page, "a/untested"))
    assert "70.0% on validation rows" in page.text("#panel")


# --- zoom and pan ---


def test_the_wheel_zooms_at_the_pointer_and_more_labels_appear(show, tmp_path):
    spaces, facts = make_runs(n=400, runs=1)
    page = show(write_page(tmp_path / "map.html", spaces, facts))
    before = len(page.js("taskMap.labels()"))
    place = at(page, "group0/task9")
    shown = page.js("taskMap.view().scale")
    page.mouse("Wheel", *place, deltaX=0, deltaY=-300)
    page.mouse("Wheel", *place, deltaX=0, deltaY=-300)
    page.frame()
    assert page.js("taskMap.view().scale") == pytest.approx(shown * math.exp(0.96), rel=1e-6)
    assert at(page, "group0/task9") == pytest.approx(place, abs=1)  # the pointer is at whole pixels
    inside = [name for name in spaces[0].emb.names if 0 < at(page, name)[0] < 1000 and 100 < at(page, name)[1] < 768]
    assert len(page.js("taskMap.labels()")) / len(inside) > before / 400


def test_keys_zoom_move_and_show_all(show, two):
    page = show(two.path)
    page.js("document.querySelector('canvas').focus()")
    view = page.js("taskMap.view()")
    page.key("+")
    page.frame()
    assert page.js("taskMap.view().scale") == pytest.approx(1.4 * view["scale"])
    place = at(page, "group0/task0")
    page.key("ArrowRight", shift=True)
    page.frame()
    assert at(page, "group0/task0")[0] == pytest.approx(place[0] - 80, abs=0.5)
    page.key("-")
    page.key("0")
    page.frame()
    assert page.js("taskMap.view()") == pytest.approx(view)


def test_two_fingers_zoom_and_one_moves(show, two):
    page = show(two.path, **PHONE)
    scale = page.js("taskMap.view().scale")
    page.touch([(150, 300), (250, 300)], [(120, 300), (280, 300)], [(100, 300), (300, 300)])
    page.frame()
    assert page.js("taskMap.view().scale") == pytest.approx(2 * scale, rel=0.02)
    place = at(page, "group0/task0")
    page.touch([(200, 300)], [(215, 320)], [(230, 340)])
    page.frame()
    moved = np.subtract(at(page, "group0/task0"), place)
    assert moved == pytest.approx([30, 40], abs=1)
    assert page.js("taskMap.selected()") is None


@pytest.mark.parametrize(("key", "way"), [("ArrowRight", (1, 0)), ("ArrowUp", (0, -1))])
def test_arrows_go_from_task_to_task(key, way, show, two):
    page = show(two.path, "#group0%2Ftask12")
    start = np.array(at(page, "group0/task12"))
    page.js("document.querySelector('canvas').focus()")
    page.key(key)
    name = page.js("taskMap.selected()")
    step = np.array(at(page, name)) - start
    if name != "group0/task12":  # there may be no task in that direction
        assert step @ way > 0
        assert abs(step @ (way[1], way[0])) <= step @ way
    others = [np.array(at(page, other)) - start for other in two.spaces[0].emb.names if other != "group0/task12"]
    assert (name == "group0/task12") == (not any(o @ way > 0 and abs(o @ (way[1], way[0])) <= o @ way for o in others))
    assert page.text("#status").startswith(name) or name == "group0/task12"
    page.key("Enter")
    assert page.js("document.activeElement.tagName") == "H2"


# --- labels ---


@pytest.mark.parametrize("n", [24, 1000])
@pytest.mark.parametrize("zoom", [0, 900])
def test_labels_do_not_overlap(n, zoom, show, tmp_path):
    spaces, facts = make_runs(n=n, runs=1)
    page = show(write_page(tmp_path / "map.html", spaces, facts), "#group0%2Ftask0")
    if zoom:
        page.mouse("Wheel", *at(page, "group0/task0"), deltaX=0, deltaY=-zoom / 3)
        page.frame()
    labels = page.js("taskMap.labels()")
    assert len(labels) > 10
    widths = page.js(  # measured again in the font of the page
        "(() => { const c = new OffscreenCanvas(9, 9).getContext('2d');"
        " const f = weight => `${weight} 12px ${getComputedStyle(document.body).fontFamily}`;"
        " return taskMap.labels().map(l => { c.font = f(l.task === taskMap.selected() ? 600 : 400);"
        " return c.measureText(l.text).width }) })()"
    )
    boxes = np.array([(b["x"], b["x"] + w, b["y"] - 6.5, b["y"] + 6.5) for b, w in zip(labels, widths, strict=True)])
    left, right, top, bottom = boxes.T
    over = (left[:, None] < right) & (left < right[:, None]) & (top[:, None] < bottom) & (top < bottom[:, None])
    assert over.sum() == len(labels)  # each is the nearest to itself
    width, height = page.js("(c => [c.clientWidth, c.clientHeight])(document.querySelector('canvas'))")
    assert left.min() >= 0
    assert right.max() <= width
    assert top.min() >= 0
    assert bottom.max() <= height
    assert "group0/task0" in {label["task"] for label in labels}  # the requested one


# --- colour ---


def test_colours_by_number_and_back(show, two):
    page = show(two.path)
    options = page.texts("#colour option")
    assert options == [
        *("Task type", "Training rows", "Test accuracy", "Test accuracy over majority"),
        *("Distance from the centre", "Cosine with the start"),
    ]
    choose(page, "colour", "a:Training rows")
    assert page.text("#legend").split() == ["Training", "rows", "10", "83,886,080", "logarithmic"]
    shades = [pixel(page, *at(page, f"group{i % 3}/task{i}")) for i in range(24)]
    light = [sum(shade_of(shade)) for shade in shades]
    assert np.corrcoef(light, np.arange(24))[0, 1] < -0.9  # larger values are darker in the light theme
    choose(page, "colour", "m:test")
    assert page.text("#legend").split() == ["Test", "accuracy", "50.0%", "90.0%"]
    page.click(at(page, "group0/task0"))
    assert page.text("#status").startswith("group0/task0; Test accuracy: 50.0%; nearest: ")


@pytest.mark.parametrize("dark", [False, True], ids=("light", "dark"))
def test_differences_are_coloured_by_sign(dark, show, tmp_path):
    gains = np.array([0, -0.01, 0.01, 0.91, -0.1, *np.linspace(0.02, 0.4, 25)])
    n = len(gains)
    circle = 2 * np.pi * np.arange(n) / n
    emb = TaskEmbeddings(tuple(f"a/t{i}" for i in range(n)), np.random.default_rng(0).normal(size=(n, 4)))
    statistics = {"gain": gains, "test": 0.05 + gains.clip(0), "majority": np.full(n, 0.05)}
    space = Space("run", emb, {"pca": Map(np.stack([np.cos(circle), np.sin(circle)], 1))}, statistics)
    page = show(write_page(tmp_path / "map.html", [space], {}), dark=dark)
    choose(page, "colour", "m:gain")
    limit = round(100 * np.percentile(np.abs(gains), 95))
    assert page.text("#legend").split("\n") == [
        *("Test accuracy over majority", f"−{limit:.1f} points", "0", f"≥ {limit:.1f} points"),
    ]
    shades = {gain: pixel(page, *at(page, f"a/t{i}")) for i, gain in enumerate(gains)}
    red, green, blue = np.array([shade_of(shade) for shade in shades.values()]).T
    assert (red > blue).tolist() == [gain <= 0 for gain in shades]  # two hues; 0 has the colour of values below 0
    assert shades[0.91] == shades[0.4]  # both exceed the limit
    ground = luminance(page.js("getComputedStyle(document.querySelector('.map')).backgroundColor"))
    inks = np.array([luminance(f"rgb({r},{g},{b})") for r, g, b in zip(red, green, blue, strict=True)])
    contrast = (np.maximum(inks, ground) + 0.05) / (np.minimum(inks, ground) + 0.05)
    assert contrast.min() >= 3  # WCAG 2.2, 1.4.11
    assert np.corrcoef(contrast[gains > 0], gains[gains > 0].clip(max=limit / 100))[0, 1] > 0.9
    page.mouse("Moved", *at(page, "a/t4"))
    page.frame()
    assert page.text("#tip span") == "Test accuracy over majority: −10.0 points"


def test_colours_stay_legible_when_a_task_is_selected(show, two):
    page = show(two.path, "#group0%2Ftask0")
    near = {name for name, _ in two.spaces[0].emb.nearest("group0/task0")}
    others = [i for i in range(1, 24) if f"group{i % 3}/task{i}" not in near]
    assert others
    for i in others:
        own = shade_of(COLOURS[TYPES[i % 4]])
        seen = np.array(shade_of(pixel(page, *at(page, f"group{i % 3}/task{i}"), "white")))
        assert 0 < np.abs(seen - own).sum() < np.abs(seen - 255).sum()


@pytest.mark.parametrize("screen", [{}, PHONE], ids=("laptop", "phone"))
def test_colour_names_fit_their_control(screen, show, two):
    page = show(two.path, **screen)
    choose(page, "other", "1")
    room, widths = page.js(
        "(s => { const c = new OffscreenCanvas(9, 9).getContext('2d'), style = getComputedStyle(s);"
        " const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight), arrow = 18;"
        " c.font = style.font; return [s.clientWidth - padding - arrow,"
        " [...s.options].map(o => c.measureText(o.text).width)] })(document.getElementById('colour'))"
    )
    assert max(widths) <= room


def test_legend_entry_emphasises_its_tasks(show, two):
    page = show(two.path)
    page.click("#legend button:nth-of-type(3)")
    page.frame()
    assert page.js("document.querySelector('#legend [aria-pressed=true]').innerText").startswith("NLI")
    assert pixel(page, *at(page, "group2/task2")) == COLOURS["NLI"]
    assert pixel(page, *at(page, "group0/task0")) != COLOURS["Acceptability"]
    page.click("#legend button:nth-of-type(3)")
    page.frame()
    assert pixel(page, *at(page, "group0/task0")) == COLOURS["Acceptability"]


def test_many_categories_share_the_last_key_and_shapes_differ(show, tmp_path):
    (space,), _ = make_runs(runs=1)
    facts = {name: TaskFacts({"Kind": f"kind {min(i, 11):02d}"}) for i, name in enumerate(space.emb.names)}
    page = show(write_page(tmp_path / "map.html", [space], facts))
    keys = page.texts("#legend button")
    assert len(keys) == 8
    assert keys[6].split("\n") == ["kind 11", "13"]  # the largest category has its own legend entry
    assert keys[7].split("\n") == ["5 others", "5"]
    paths = page.js("[...document.querySelectorAll('#legend path')].map(p => p.getAttribute('d'))")
    assert len(set(paths)) == 8


def test_tasks_without_facts_are_shown(show, tmp_path):
    emb = TaskEmbeddings(("one", "two", "three"), np.eye(3, dtype=np.float32))
    page = show(write_page(tmp_path / "map.html", [make_space("run", emb)], {}), "#two")
    assert page.text("#panel h2") == "two"
    assert len(page.texts("#panel .nearest button")) == 2
    assert "null" not in page.text("#panel")
    assert page.js("document.getElementById('run-choice').hidden && document.getElementById('methods').hidden")


def test_task_without_facts_next_to_known_ones(show, tmp_path):
    spaces, facts = make_runs()
    unknown = "group0/task0"
    for space in spaces:
        for values in space.statistics.values():
            values[space.emb.index(unknown)] = np.nan
    facts = {name: each for name, each in facts.items() if name != unknown}
    page = show(write_page(tmp_path / "map.html", spaces, facts), "#group0%2Ftask0")
    choose(page, "other", "1")
    for column in page.js("[...document.querySelectorAll('#colour option')].map(o => o.value)"):
        choose(page, "colour", column)
        page.mouse("Moved", *at(page, unknown))
        page.frame()
        if column != "kept":
            assert page.text("#tip span").endswith(": not known")
        page.click(at(page, unknown))
        seen = page.js("document.body.innerText + document.querySelector('#status').textContent")
        assert not re.search(r"\b(null|NaN|undefined|Infinity)\b", seen), column
    assert page.texts("#panel .scores") == []


# --- two runs ---


def test_two_runs_are_shown_with_shared_neighbours(show, two):
    page = show(two.path)
    choose(page, "other", "1")
    one, other = (space.emb.values for space in two.spaces)
    kept = kept_across(one, other)
    text = page.text("#panel")
    rows = [nearest_vectors(values, 10).tolist() for values in (one, other)]
    counts = [len(set(a) & set(b)) for a, b in zip(*rows, strict=True)]
    chance = f"{100 * chance_across(24):.1f}%"
    assert f"Of the 10 nearest tasks of a task, {np.mean(counts):.1f} are near in both run 0 and run 1" in text
    assert f"by chance {10 * 10 / 23:.1f}. As Jaccard overlap: {100 * kept.mean():.1f}%, by chance {chance}." in text
    most = [task.split("\n")[1] for task in page.texts("#panel .tasks button")[:5]]
    assert most == [f"{count} of 10" for count in sorted(counts, reverse=True)[:5]]
    assert page.texts(".map figcaption") == ["run 0", "run 1"]

    page.click(at(page, "group1/task4", 1))  # on the second map
    page.frame()
    assert page.text("#panel h2") == "group1/task4"
    near = [[name for name, _ in space.emb.nearest("group1/task4")] for space in two.spaces]
    both = [name for name in near[0] if name in near[1]]
    lists = page.js(
        "[...document.querySelectorAll('#panel .nearest')].map(l =>"
        " [...l.querySelectorAll('.name')].map(n => n.innerText))"
    )
    only = [[name for name in near[side] if name not in both] for side in (0, 1)]
    assert lists == [names for names in (both, *only) if names]
    jaccard = f"{100 * kept[two.spaces[0].emb.index('group1/task4')]:.1f}%"
    words = f"{len(both)} of the 10 nearest are near in both runs (Jaccard {jaccard}; by chance {chance})."
    assert words in page.text("#panel")

    choose(page, "colour", "kept")
    assert page.text("#legend").split("\n") == ["Neighbours kept (of 10)", str(min(counts)), str(max(counts))]
    choose(page, "colour", "m:test")
    assert page.text("#legend").split("\n")[-1] == "in run 0"  # both maps are coloured by the first run
    choose(page, "other", "-1")
    assert page.js("document.querySelectorAll('.map:not([hidden])').length") == 1
    assert page.js("document.getElementById('colour').value") != "kept"


def test_compared_runs_can_be_swapped(show, two):
    page = show(two.path)
    choose(page, "other", "1")
    choose(page, "run", "1")
    assert page.texts(".map figcaption") == ["run 1", "run 0"]
    page.click(at(page, "group0/task0"))
    emb = two.spaces[1].emb
    shown = set(page.texts("#panel .nearest .name"))
    assert {name for name, _ in emb.nearest("group0/task0")} <= shown


def test_page_states_that_a_run_lacks_a_task_or_that_runs_share_none(show, tmp_path):
    (one, _), facts = make_runs()
    names = ("group0/task0", "group1/task1", *(f"new/{i}" for i in range(6)))
    other = make_space("other", TaskEmbeddings(names, np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)))
    apart = make_space("apart", TaskEmbeddings(("x/0", "x/1", "x/2"), np.eye(3, dtype=np.float32)))
    page = show(write_page(tmp_path / "map.html", [one, other, apart], facts), "#new%2F3")
    assert page.js("[taskMap.selected(), document.getElementById('run').value]") == [
        "new/3",
        "1",
    ]  # the run that has the task
    choose(page, "run", "0")
    assert page.js("[taskMap.selected(), location.hash]") == [None, ""]
    choose(page, "other", "1")
    assert page.js("document.getElementById('methods').hidden")  # the other run has one map
    page.click(at(page, "new/3", 1))
    assert page.text("#panel h2") == "new/3"
    assert "Nearest tasks, other" in page.text("#panel")
    assert "This run does not have the task." in page.text("#panel")
    page.key("Escape")
    assert [text.split("\n")[0] for text in page.texts("#legend button")] == list(TYPES)
    choose(page, "run", "1")
    choose(page, "other", "-1")
    assert page.texts("#legend button") == ["Acceptability\n1", "Emotion\n1"]  # of the others the type is not known
    choose(page, "run", "0")
    choose(page, "other", "2")
    assert "The two runs have no task in common." in page.text("#panel")
    assert "Neighbours kept" not in page.texts("#colour option")


def test_one_shared_task_is_too_few_to_compare(show, tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    names = (("a/x", "a/y", "a/z"), ("a/x", "b/y", "b/z"))
    spaces = [make_space(f"run {i}", TaskEmbeddings(names[i], values[i])) for i in range(2)]
    page = show(write_page(tmp_path / "map.html", spaces, {}))
    choose(page, "other", "1")
    assert "The two runs have only one task in common." in page.text("#panel")
    assert not any("kept" in text for text in page.texts("#colour option"))
    page.click(at(page, "a/x"))
    assert page.texts("#panel h3")[:2] == ["Nearest tasks, run 0", "Nearest tasks, run 1"]


def test_a_warning_comes_first(show, tmp_path):
    emb = TaskEmbeddings(("a/b", "a/c"), np.eye(2, dtype=np.float32))
    page = show(write_page(tmp_path / "map.html", [make_space("run", emb, warning="z has not moved")], {}))
    assert page.text("#panel .warning") == "z has not moved"


# --- safety ---


def test_hostile_texts_are_only_text(show, tmp_path):
    emb = TaskEmbeddings((EVIL, f"a/{EVIL}", "a/c"), np.eye(3, dtype=np.float32))
    known = TaskFacts(
        {EVIL: EVIL, "Type": EVIL}, [EVIL], EVIL, "javascript:alert(1)", EVIL, EVIL, [Example(EVIL, (EVIL, EVIL))], EVIL
    )
    spaces = [make_space(EVIL, emb, about={EVIL: EVIL}, warning=EVIL), make_space("other", emb)]
    page = show(write_page(tmp_path / "map.html", spaces, dict.fromkeys(emb.names, known), title=EVIL))
    assert page.text("h1") == EVIL
    choose(page, "other", "1")
    page.mouse("Moved", *at(page, EVIL))
    page.frame()
    assert page.text("#tip strong") == EVIL
    page.click(at(page, EVIL))
    page.click("#search")
    page.write("img")
    assert page.texts("#found .name")[0] == EVIL
    assert page.text("#panel h2") == EVIL
    page.js("document.querySelector('details').open = true")
    assert page.texts("#panel blockquote") == [EVIL, EVIL]
    assert page.js("window.hit") is None
    assert page.js("document.querySelectorAll('img, b, iframe').length") == 0
    assert page.js("document.scripts.length") == 2
    assert page.js("document.querySelectorAll('#panel a').length") == 0  # not a repository


def test_browser_enforces_the_policy(chromium, two):
    page = chromium.page(two.path.as_uri())
    page.wait("performance.getEntriesByName('map-drawn').length")
    with pytest.raises(BrowserError, match="TrustedHTML"):
        page.js("document.body.innerHTML = '<p>markup</p>'")
    with pytest.raises(BrowserError, match="TrustedScript"):
        page.js("document.body.setAttribute('onclick', 'window.hit = 1')")
    assert page.js("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    assert any("Content Security Policy" in text for text in page.complaints())
    page.close()


# --- screens and accessibility ---


@pytest.mark.parametrize(
    "screen", [{}, PHONE, {"width": 820, "height": 1180, "touch": True}], ids=("laptop", "phone", "tablet")
)
@pytest.mark.parametrize("both", [False, True], ids=("one", "two"))
def test_everything_fits_the_screen(screen, both, show, two):
    page = show(two.path, "#group0%2Ftask0", **screen)
    if both:
        choose(page, "other", "1")
    width, height = page.js("[innerWidth, innerHeight]")
    assert page.js("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [width, height]
    boxes = page.js(
        "[...document.querySelectorAll('canvas, #panel, header, #zoom button, .tools button, select, #search')]"
        ".filter(e => e.checkVisibility()).map(e => { const b = e.getBoundingClientRect();"
        " return [e.id || e.tagName, b.left, b.top, b.right, b.bottom] })"
    )
    for name, left, top, right, bottom in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width + 0.5, name
        assert bottom <= height + 0.5, name
        assert bottom - top >= (36 if screen.get("width") == 390 else 24), name
    for number in range(2 if both and screen != PHONE else 1):  # a phone shows one map at a time
        x, y = at(page, "group0/task0", number)
        box = page.js(
            "(b => [b.left, b.right, b.top, b.bottom])"
            f"(document.querySelectorAll('canvas')[{number}].getBoundingClientRect())"
        )
        assert box[0] < x < box[1]
        assert box[2] < y < box[3]


def test_tap_selects_and_the_cross_closes(show, two):
    page = show(two.path, **PHONE)
    place = at(page, "group1/task1")
    page.touch([place])
    page.wait("taskMap.selected() === 'group1/task1'")
    page.click("#panel .title button")
    assert page.js("taskMap.selected()") is None


def test_phone_shows_one_of_two_runs_with_a_switch(show, tmp_path):
    spaces, facts = make_runs(n=200)
    names = spaces[1].emb.names
    spaces[1] = make_space("run 1", TaskEmbeddings((*names[:-1], "new/task"), spaces[1].emb.values))
    page = show(write_page(tmp_path / "map.html", spaces, facts), **PHONE)
    assert not page.js("document.getElementById('front').checkVisibility()")
    choose(page, "other", "1")
    seen = "[...document.querySelectorAll('canvas')].map(c => c.checkVisibility())"
    assert page.js(seen) == [True, False]
    scale = page.js("taskMap.view().scale")
    page.touch([at(page, "group0/task0")])
    task = page.wait("taskMap.selected()")
    for number in (0, 1):
        assert page.js(seen) == [number == 0, number == 1]
        emb = spaces[number].emb
        left, top, width, height = page.js(
            "(b => [b.x, b.y, b.width, b.height])"
            f"(document.querySelectorAll('canvas')[{number}].getBoundingClientRect())"
        )
        shared = [name for name in spaces[0].emb.names if name in spaces[1].emb.names]
        near = [name for name, _ in emb.select(shared).nearest(task)]
        places = np.array([at(page, name, number) for name in (task, *near)]) - (left, top)
        assert (places > 0).all()
        assert (places < (width, height)).all()
        assert page.js(f"taskMap.view({number}).scale") > scale  # the neighbours fill the map
        page.touch([page.middle("#front label:last-of-type")])
        page.frame()
    page.js("location.hash = '#new%2Ftask'")
    page.wait("taskMap.selected() === 'new/task'")
    page.touch([page.middle("#front label")])
    page.frame()
    assert page.js(seen) == [True, False]
    page.js("location.hash = '#group0%2Ftask0'")
    page.wait("taskMap.selected() === 'group0/task0'")
    page.js("location.hash = '#new%2Ftask'")
    page.wait("taskMap.selected() === 'new/task'")
    assert page.js(seen) == [False, True]  # only this run has the task


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("dark", [False, True], ids=("light", "dark"))
def test_texts_have_contrast_in_both_themes(dark, show, two):
    page = show(two.path, "#group0%2Ftask0", dark=dark)
    ground = luminance(page.js("getComputedStyle(document.querySelector('#panel')).backgroundColor"))
    assert (ground < 0.1) == dark
    for selector in (
        "#panel h2",
        "#panel .hint, #panel dt",
        "#panel .number",
        "#panel .scores",
        "#panel a",
        "header label",
    ):
        ink = luminance(page.js(f"getComputedStyle(document.querySelector({selector!r})).color"))
        ratio = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert ratio >= 4.5, selector  # WCAG 2.2, 1.4.3


def test_the_theme_is_switched_and_kept(show, two):
    page = show(two.path)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.js(ground)
    names = [page.js("document.getElementById('theme').ariaLabel")]
    for _ in range(3):
        page.click("#theme")
        names.append(page.js("document.getElementById('theme').ariaLabel"))
        if names[-1] == "Colours: dark":
            dark = page.js(ground)
    assert names == [f"Colours: {word}" for word in ("as the system", "light", "dark", "as the system")]
    assert luminance(dark) < 0.1 < luminance(light)
    page.click("#theme")
    page.click("#theme")
    other = show(two.path)
    assert other.js(ground) == dark
    other.js("localStorage.clear()")


def test_page_has_roles_and_names_for_assistive_technology(show, two):
    page = show(two.path, "#group0%2Ftask0")
    seen = page.accessible()
    assert ("combobox", "Search a task") in seen
    assert ("heading", "Map of 24 tasks") in seen
    assert ("radio", "PCA") in seen
    assert ("application", "run 0, 24 tasks, PCA. Arrow keys go from task to task.") in seen
    assert ("heading", "group0/task0") in seen
    nearest, cosine = two.spaces[0].emb.nearest("group0/task0")[0]
    assert ("button", f"{nearest}, {cosine:.2f}") in seen
    assert [role for role, name in seen if role in ("button", "combobox", "radio", "link") and not name.strip()] == []
    page.click("#help-open")
    assert ("dialog", "How to read and use the map") in page.accessible()
    page.key("Escape")
    assert page.js("document.getElementById('help').open") is False
    assert page.js("taskMap.selected()") == "group0/task0"  # the dialog handled the key


def test_page_works_without_a_mouse(show, two):
    page = show(two.path)
    order = []
    for _ in range(9):
        page.key("Tab")
        order.append(
            page.js("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
    assert order[:6] == ["search", "run", "other", "methods", "colour", "theme"]
    page.js("document.querySelector('canvas').focus()")
    page.key("ArrowUp")
    page.key("Enter")
    page.key("Tab")  # close the details
    page.key("Tab")
    page.key("Enter")  # the nearest task
    selected = page.js("taskMap.selected()")
    assert page.text("#panel h2") == selected
    assert page.js("document.activeElement.tagName") == "H2"  # although the pressed button is gone


# --- many tasks ---


@pytest.mark.parametrize(("n", "seconds"), [(1000, 5), (10_000, 15)])
def test_many_tasks_are_drawn_quickly_and_found(n, seconds, show, tmp_path):
    spaces, facts = make_runs(n=n, runs=1)
    page = show(write_page(tmp_path / "map.html", spaces, facts))
    assert (
        page.js("performance.getEntriesByName('map-drawn')[0].startTime") < 1000 * seconds
    )  # generous, for busy machines
    start = time.monotonic()
    page.click("#search")
    page.write(f"task{n - 1}")
    page.key("Enter")
    assert page.js("taskMap.selected()") == f"group{(n - 1) % 3}/task{n - 1}"
    assert len(page.texts("#panel .nearest button")) == 10
    assert time.monotonic() - start < seconds


def test_few_shared_tasks_use_smaller_neighbourhoods(show, tmp_path):
    values = np.random.default_rng(3).normal(size=(2, 8, 4)).astype(np.float32)
    names = [tuple(f"{'a' if row < 5 else side}/t{row}" for row in range(8)) for side in "xy"]
    spaces = [make_space(f"run {i}", TaskEmbeddings(names[i], values[i])) for i in range(2)]
    page = show(write_page(tmp_path / "map.html", spaces, {}))
    choose(page, "other", "1")
    kept = kept_across(values[0, :5], values[1, :5], 2)
    text = page.text("#panel")
    assert f"Of the 2 nearest tasks of a task, {(4 * kept / (1 + kept)).mean():.1f} are near in both" in text
    assert f"As Jaccard overlap: {100 * kept.mean():.1f}%, by chance {100 * chance_across(5, 2):.1f}%." in text
    assert text.count(" of 2\n") == 2  # the list is shorter than the list of shared tasks
    assert 0 < kept.mean() < 1
