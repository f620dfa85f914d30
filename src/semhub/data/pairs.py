"""Own sentence pairs: aligned text files, a TSV file or a JSONL file, in any two or more languages.

Source: the user's files. Licence, version: theirs. How to get it: `--data pairs=` a folder with `x.en` and
`x.zh`; two files joined by a comma; a `.tsv` with two columns (header `zh<TAB>en` or `a<TAB>b`, or none and
the languages in the name: `x.zh-en.tsv`); a `.jsonl` with the keys `a` and `b` and, where there are any,
`negatives` (a list of texts that stand in for `b`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from semhub.data import files, hub, languages
from semhub.data.items import Card, Parallel, merge
from semhub.errors import DataError
from semhub.types import Kept

CARD = Card(
    name="pairs",
    what="own sentence pairs in any two languages",
    source="the user's files",
    version="not stated",
    licence="not stated",
    get="--data pairs=FOLDER with x.en and x.zh, or a.zh,a.en, or a .tsv, or a .jsonl with the keys a and b",
)

EMPTY = "empty side"


def load(spec: str, dominant: str = "en", asked: tuple[str, ...] = ()) -> Parallel:
    """The pairs at `spec`. dominant, asked: used for sides whose language neither name nor script tells.

    Raises DataError: nothing there, unequal line counts, malformed lines, missing keys or columns, bad bytes.
    """
    if hub.is_hub(spec):
        return hub.parallel(spec, CARD, dominant)
    if "," in spec and not Path(spec).exists():
        paths = [files.find(part.strip(), "pairs") for part in spec.split(",")]
        return _aligned(paths, ",".join(map(str, paths)), dominant, asked)
    path = files.find(spec, "pairs")
    if path.is_dir():
        return _aligned(files.data_files(path), str(path), dominant, asked, folder=True)
    if path.suffix.lower() == ".tsv":
        return _tsv(path, dominant, asked)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return _jsonl(path, dominant, asked)
    raise DataError(f"{path}: pairs come as .tsv, .jsonl, a folder with x.en and x.zh, or two files a,b.")


def collect(
    name: str, card: Card, columns: dict[str, list[str]], paths: Sequence[Path], path: str,
    negatives: dict[str, list[tuple[str, ...]]] | None = None, version: str = "",
) -> Parallel:  # fmt: skip
    """Equal-length columns -> Parallel; items with an empty side are dropped and counted."""
    sides = {code: [text.strip() for text in column] for code, column in columns.items()}
    given = len(next(iter(sides.values())))
    keep = [i for i in range(given) if all(column[i] for column in sides.values())]
    if not keep:
        raise DataError(f"{path} has no pair with text on every side.")
    return Parallel(
        name=name,
        ids=tuple(f"{name}:{i}" for i in keep),
        texts={code: tuple(column[i] for i in keep) for code, column in sides.items()},
        kept=Kept(given, merge({EMPTY: given - len(keep)})),
        provenance=card.provenance(path, files.sha256(paths), version),
        negatives={code: tuple(column[i] for i in keep) for code, column in (negatives or {}).items()},
    )


def read_aligned(by_language: dict[str, Path]) -> dict[str, list[str]]:
    """One line, one sentence. Raises DataError when the files differ in their number of lines."""
    columns = {code: files.read_lines(path) for code, path in by_language.items()}
    counts = {str(by_language[code]): len(column) for code, column in columns.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path} has {count} lines" for path, count in counts.items())
        raise DataError(f"aligned files need the same number of lines: {listed}.")
    return columns


def _aligned(
    paths: list[Path], where: str, dominant: str, asked: tuple[str, ...], folder: bool = False
) -> Parallel:
    groups: dict[str, dict[str, Path]] = {}
    for path in paths:
        code = languages.from_name(path)
        if code is None and not folder:
            code = _side_language(path, files.read_text(path), dominant, asked)
        if code is None:
            continue
        stem = (
            path.name.split(".")[0] if folder and languages.normalise(path.name.split(".")[0]) is None else ""
        )
        if code in groups.setdefault(stem, {}):
            raise DataError(
                f"{path} and {groups[stem][code]} are both in {code}. Give one file for each language."
            )
        groups[stem][code] = path
    groups = {stem: group for stem, group in groups.items() if len(group) > 1}
    if not groups:
        raise DataError(
            f"{where} has no aligned files. Give files such as x.en and x.zh with one sentence a line."
        )
    codes = list(next(iter(groups.values())))
    columns: dict[str, list[str]] = {code: [] for code in codes}
    for stem, group in groups.items():
        if set(group) != set(codes):
            raise DataError(f"{where}: {stem} is in {', '.join(group)}, other files in {', '.join(codes)}.")
        for code, lines in read_aligned(group).items():
            columns[code].extend(lines)
    used = [path for group in groups.values() for path in group.values()]
    name = next(iter(groups)) or Path(where.split(",")[0]).name.split(".")[0]
    return collect(name, CARD, columns, used, where)


def _tsv(path: Path, dominant: str, asked: tuple[str, ...]) -> Parallel:
    rows = [
        (number, line.split("\t")) for number, line in enumerate(files.read_lines(path), 1) if line.strip()
    ]
    head = [cell.strip() for cell in rows[0][1]]
    known = {
        i: cell for i, cell in enumerate(head) if cell.lower() in ("a", "b") or languages.normalise(cell)
    }
    header = len(known) >= 2
    if header:
        rows = rows[1:]
        indices = sorted(known, key=lambda i: (known[i].lower() == "b", i))
    else:
        indices = [0, 1]
    if not rows:
        raise DataError(f"{path} has a header and no pairs. Add lines of two texts separated by a tab.")
    width = len(head)
    if width < 2:
        raise DataError(f"{path}, line 1: one column, not two. Separate the two texts by a tab.")
    for number, cells in rows:
        if len(cells) != width:
            raise DataError(f"{path}, line {number}: {len(cells)} columns where line 1 has {width}.")
    texts = [[cells[i] for _, cells in rows] for i in indices]
    named = [languages.normalise(known[i]) if header else None for i in indices]
    if any(code is None for code in named):
        if len(texts) != 2:
            raise DataError(f"{path}, line 1: name the columns by language, such as en<TAB>zh, or a<TAB>b.")
        pair = _pair_languages(path, texts[0], texts[1], dominant, asked)
        named = list(pair)
    columns = dict(zip([code for code in named if code], texts, strict=True))
    if len(columns) < 2:
        raise DataError(f"{path}: both columns are in {named[0]}. Name the languages: x.zh-en.tsv.")
    return collect(path.name.split(".")[0], CARD, columns, [path], str(path))


def _jsonl(path: Path, dominant: str, asked: tuple[str, ...]) -> Parallel:
    a: list[str] = []
    b: list[str] = []
    negatives: list[tuple[str, ...]] = []
    for number, row in files.read_jsonl(path):
        for key in ("a", "b"):
            if not isinstance(row.get(key), str):
                raise DataError(f'{path}, line {number}: no text under "{key}". Each line needs "a" and "b".')
        near = row.get("negatives", [])
        if not isinstance(near, list) or not all(isinstance(one, str) for one in near):
            raise DataError(f'{path}, line {number}: "negatives" must be a list of texts.')
        a.append(row["a"])
        b.append(row["b"])
        negatives.append(
            tuple(one.strip() for one in near if one.strip() and one.strip() != row["b"].strip())
        )
    code_a, code_b = _pair_languages(path, a, b, dominant, asked)
    given = {code_b: negatives} if any(negatives) else None
    return collect(path.name.split(".")[0], CARD, {code_a: a, code_b: b}, [path], str(path), given)


def _pair_languages(
    path: Path, a: list[str], b: list[str], dominant: str, asked: tuple[str, ...]
) -> tuple[str, str]:
    named = languages.pair_from_name(path)
    if named:
        pair = named
    else:
        code_b = languages.from_script(" ".join(b)) or dominant
        code_a = languages.from_script(" ".join(a)) or (dominant if code_b != dominant else "")
        pair = (code_a or (asked[0] if len(asked) == 1 else ""), code_b)
    if not pair[0] or pair[0] == pair[1]:
        raise DataError(
            f"{path}: the two languages are not told by name or script. Name the file x.es-en{path.suffix}."
        )
    return pair


def _side_language(path: Path, text: str, dominant: str, asked: tuple[str, ...]) -> str:
    code = languages.from_script(text) or (
        asked[0] if len(asked) == 1 and "." + dominant not in path.name else None
    )
    return code or languages.identify(path, text)
