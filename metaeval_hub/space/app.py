"""Classify texts with the tasks of one model on a web page. config.json, next to this file, names the model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from metaeval_hub import ConditionalAdapterModel

MOST_CHARACTERS = 20_000  # per text or pair
NEAREST = 5  # shown tasks
SHOWN_CLASSES = 10


def load(folder: Path) -> tuple[ConditionalAdapterModel, str]:
    """Return the model and the title of the page, as config.json says."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["repo_id"] is None:
        return ConditionalAdapterModel.from_pretrained(folder / "model"), config["title"]
    return ConditionalAdapterModel.from_pretrained(config["repo_id"], revision=config["revision"]), config["title"]


def classify(model: ConditionalAdapterModel, task: str, first: str, second: str) -> dict[str, float]:
    """Return the probability of each class. The second text counts only for a task that takes pairs."""
    pair = model.fields.get(task, 2 if second.strip() else 1) == 2
    texts = [first, second] if pair else [first]
    if not all(text.strip() for text in texts):
        raise gr.Error("Enter both texts." if pair else "Enter a text.", print_exception=False)
    if sum(map(len, texts)) > MOST_CHARACTERS:
        raise gr.Error(f"The text has more than {MOST_CHARACTERS:,} characters; shorten it.", print_exception=False)
    found = model.predict(task, [(first, second) if pair else first], progress=False)
    return dict(zip(found.names, found.probabilities[0].tolist(), strict=True))


def nearest(model: ConditionalAdapterModel, task: str) -> list[list[Any]]:
    """Return the nearest tasks with the cosine of z; none if the task does not use a z."""
    if not model.config.has_task_embeddings or task in model.frozen_tasks:
        return []
    return [[name, round(cosine, 2)] for name, cosine in model.task_embeddings.nearest(task, NEAREST)]


def show_task(model: ConditionalAdapterModel, task: str) -> tuple[Any, ...]:
    """Return the changes of the page for another task: both text boxes, classes, nearest tasks, empty answer."""
    form = model.fields.get(task)
    return (
        gr.update(label="Text" if form == 1 else "First text"),
        gr.update(label="Second text" if form == 2 else "Second text (may stay empty)", visible=form != 1),
        ", ".join(model.labels[task]),
        nearest(model, task),
        None,
    )


def build(model: ConditionalAdapterModel, title: str) -> gr.Blocks:
    """Return the page."""
    tasks = list(model.labels)
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}")
        with gr.Row():
            with gr.Column():
                task = gr.Dropdown(tasks, value=tasks[0], label="Task", info="Type to search.")
                classes = gr.Textbox(label="Classes", interactive=False, max_lines=3)
                first = gr.Textbox(lines=1, max_lines=8, max_length=MOST_CHARACTERS)
                second = gr.Textbox(lines=1, max_lines=8, max_length=MOST_CHARACTERS)
                button = gr.Button("Classify", variant="primary")
            with gr.Column():
                answer = gr.Label(label="Probabilities", num_top_classes=SHOWN_CLASSES)
                near = gr.Dataframe(
                    headers=["nearest tasks", "cosine of z"], datatype=["str", "number"], interactive=False,
                    column_widths=["70%", "30%"], wrap=True,
                    visible=model.config.has_task_embeddings,
                )  # fmt: skip
        shown = {"fn": partial(show_task, model), "inputs": task, "outputs": [first, second, classes, near, answer]}
        page.load(**shown, show_progress="hidden", api_name=False)
        task.change(**shown, show_progress="hidden", api_name=False)
        gr.on(
            [button.click, first.submit, second.submit], partial(classify, model), [task, first, second], answer,
            api_name="classify",
        )  # fmt: skip
    return page


if __name__ == "__main__":
    build(*load(Path(__file__).parent)).launch()
