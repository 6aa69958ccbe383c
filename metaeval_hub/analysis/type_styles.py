"""The colour and the marker of each task type, which are the same in every figure and on the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypeStyle:
    """How tasks of a type are drawn. Each colour has its own shape, so that no information is in the colour alone.

    Args:
        kind: task type.
        colour: colour on a light background, #RRGGBB.
        on_dark: colour on a dark background.
        marker: marker of matplotlib.
        path: the same shape as an SVG path, of about the same area for all types, within 1.3 units of the centre.
    """

    kind: str
    colour: str
    on_dark: str
    marker: str
    path: str


# Okabe and Ito's palette, which readers with any colour vision can distinguish, with a grey for "other" and a darker
# one for "unknown". Three colours are lighter on a dark background.
TYPE_STYLES = (
    TypeStyle("acceptability", "#0072B2", "#4C9BE0", "o", "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z"),
    TypeStyle("discourse", "#E69F00", "#E69F00", "s", "M-.88-.88H.88V.88H-.88Z"),
    TypeStyle("emotion", "#009E73", "#009E73", "^", "M0-1.2L1.15.85H-1.15Z"),
    TypeStyle("facticity", "#D55E00", "#D55E00", "D", "M0-1.25L1.25 0L0 1.25L-1.25 0Z"),
    TypeStyle("grammar", "#CC79A7", "#CC79A7", "v", "M0 1.2L1.15-.85H-1.15Z"),
    TypeStyle("nli", "#56B4E9", "#56B4E9", "P", "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z"),
    TypeStyle(
        "paraphrase_detection", "#B8A800", "#B8A800", "X",
        "M-.5-1.06L0-.56L.5-1.06L1.06-.5L.56 0L1.06.5L.5 1.06L0 .56L-.5 1.06L-1.06 .5L-.56 0L-1.06-.5Z",
    ),
    TypeStyle("other", "#7F7F7F", "#A6A6A6", "h", "M-.55-.98H.55L1.12 0L.55.98H-.55L-1.12 0Z"),
    TypeStyle(
        "unknown", "#4D4D4D", "#D4D4D4", "*",
        "M0-1.3L.35-.48L1.24-.4L.57.18L.76 1.05L0 .6L-.76 1.05L-.57 .18L-1.24-.4L-.35-.48Z",
    ),
)  # fmt: skip


def style_of(kind: str) -> TypeStyle:
    """Return the style of a task type; that of "unknown" for any other text.

    >>> style_of("NLI").marker, style_of("no type").kind
    ('P', 'unknown')
    """
    return next((style for style in TYPE_STYLES if style.kind == kind.lower()), TYPE_STYLES[-1])
