"""Tests use no network, no accelerator settings of the machine, and few threads."""

from __future__ import annotations

import os

for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[name] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Workers inherit what the first process sets: with more threads than cores each small product waits for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
