"""Chinese word segmentation by jieba, imported late and kept quiet.

Source: https://github.com/fxsjy/jieba. Licence: MIT. Version: the installed one. How to get it: a dependency.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from functools import cache
from typing import Any


@cache
def _tokenizer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source has invalid escapes and imports pkg_resources
        import jieba
    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # Private: the default is one fixed name in the shared temporary folder, where others may write.
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer


def segments(text: str) -> list[tuple[int, int]]:
    """Character spans [start, end) of the words of `text`, covering it without gaps."""
    spans, start = [], 0
    for word in _tokenizer().cut(text, cut_all=False):
        spans.append((start, start + len(word)))
        start += len(word)
    return spans
