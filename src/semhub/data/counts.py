"""Texts per language, from which tokens are counted to give P(language | token).

Source: the user's folder; the paper used mC4 (101 languages x 100,000 documents), the Universal Declaration
of Human Rights serves a small count. Licence, version: theirs. How to get it: `--data counts=` a folder of
`code.txt` files (ISO 639 codes, `.jsonl` with the key `text` too). Without it, sentences of the
micro-world's training split.
"""

from __future__ import annotations

from semhub.data import expressions, files, languages, microworld
from semhub.data.items import Card
from semhub.data.numbers import OPERATORS
from semhub.errors import DataError, UsageError
from semhub.types import Provenance, Request

CARD = Card(
    name="counts",
    what="texts in several languages for token counts",
    source="the user's folder",
    version="not stated",
    licence="not stated",
    get="--data counts=FOLDER with en.txt, zh.txt, es.txt ...",
)

GENERATED = 2000


def texts(request: Request) -> tuple[dict[str, list[str]], list[Provenance]]:
    """ISO code -> texts, with their provenance: `--data counts=FOLDER`, else generated sentences in en, zh,
    es.

    The generated texts hold the spelled expressions too, so that number words count as words of their
    language. Raises DataError when the folder has fewer than two languages.
    """
    if "counts" in request.data:
        return load(request.data["counts"])
    generated = microworld.training_texts(GENERATED, request.seed)
    for code, found in generated.items():
        if code in OPERATORS:
            found.extend(one.words(code) for one in expressions.expressions())
    return generated, [microworld.provenance(), expressions.provenance()]


def load(spec: str) -> tuple[dict[str, list[str]], list[Provenance]]:
    """The non-blank lines (or `text` values) of each language's files in the folder `spec`."""
    if spec.startswith("hub:"):
        raise UsageError("token counts come from a folder: --data counts=FOLDER with en.txt, zh.txt ...")
    folder = files.find(spec, "counts")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file. Give --data counts=FOLDER with en.txt, zh.txt ...")
    found: dict[str, list[str]] = {}
    used = []
    for path in files.data_files(folder, (".txt", ".jsonl", ".gz")):
        code = languages.from_name(path)
        if code is None:
            continue
        used.append(path)
        if ".jsonl" in path.suffixes:
            rows = files.read_jsonl(path)
            bad = next((number for number, row in rows if not isinstance(row.get("text"), str)), None)
            if bad is not None:
                raise DataError(f'{path}, line {bad}: no text under "text".')
            lines = [row["text"] for _, row in rows]
        else:
            lines = files.read_lines(path)
        found.setdefault(code, []).extend(line.strip() for line in lines if line.strip())
    if len(found) < 2:
        listed = ", ".join(found) or "none"
        raise DataError(
            f"{folder} has texts in {listed}; counts need two languages or more, as en.txt and zh.txt."
        )
    return found, [CARD.provenance(str(folder), files.sha256(used), f"{len(found)} languages")]
