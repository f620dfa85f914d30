"""A fast tokenizer with offsets from a sentencepiece BPE model, with sentencepiece's own ids.

Source: Kudo and Richardson, "SentencePiece" (2018); the file is the protocol buffer `ModelProto`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from semhub.errors import ModelError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BPE = 2
SPACE = "▁"


def fast_tokenizer(path: Path, *, add_bos: bool = False, add_eos: bool = False) -> Any:
    """A `PreTrainedTokenizerFast` for the sentencepiece BPE model in `path`.

    Raises ModelError for a file that is no such model, or one with a feature that is not carried over.
    """
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE as MergeModel
    from transformers import PreTrainedTokenizerFast

    model = _read(path)
    pieces = [(piece.piece, piece.score, piece.type) for piece in model.pieces]
    ids = {piece: index for index, (piece, _, _) in enumerate(pieces)}
    bytes_fall_back = bool(model.trainer_spec.byte_fallback)
    unknown = model.trainer_spec.unk_piece
    defined = [piece for piece, _, kind in pieces if kind == USER_DEFINED]
    tokenizer = Tokenizer(
        MergeModel(
            vocab=ids,
            merges=_merges(pieces),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=bytes_fall_back,
            ignore_merges=bool(defined),  # a user-defined piece is one token though nothing merges to it
        )
    )
    normalizer = _normalizer(model.normalizer_spec)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if defined:
        tokenizer.pre_tokenizer = _set_apart(path, defined, model.normalizer_spec)
    steps = [
        decoders.Replace(SPACE, " "),
        *([decoders.ByteFallback()] if bytes_fall_back else []),
        decoders.Fuse(),
    ]
    if model.normalizer_spec.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    spec = model.trainer_spec
    named = {"bos_token": (spec.bos_id, spec.bos_piece), "eos_token": (spec.eos_id, spec.eos_piece)}
    named |= {"unk_token": (spec.unk_id, spec.unk_piece), "pad_token": (spec.pad_id, spec.pad_piece)}
    special = {name: piece for name, (index, piece) in named.items() if index >= 0 and piece in ids}
    _add_template(tokenizer, ids, special, add_bos, add_eos)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def _read(path: Path) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is not a readable sentencepiece model: {error}.") from error
    if not model.pieces or model.trainer_spec.model_type != BPE:
        raise ModelError(f"{path} is not a sentencepiece BPE model; only BPE is carried over.")
    unused = any(piece.type == UNUSED for piece in model.pieces)
    if unused or model.trainer_spec.treat_whitespace_as_suffix:
        raise ModelError(f"{path} has unused pieces or spaces as suffixes, which are not carried over.")
    return model


def _merges(pieces: list[tuple[str, float, int]]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two pieces, best score first, as sentencepiece merges them."""
    scores = {piece: score for piece, score, kind in pieces if kind == NORMAL}
    found = []
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in scores and right in scores:
                found.append((-score, cut, left, right))
    return [(left, right) for _, _, left, right in sorted(found, key=lambda merge: merge[:2])]


def _normalizer(spec: Any) -> Any:
    from tokenizers import Regex, normalizers

    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    return normalizers.Sequence(steps) if steps else None


def _set_apart(path: Path, defined: list[str], spec: Any) -> Any:
    """Splits the text around user-defined pieces, the longest first, before anything is merged."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    if spec.precompiled_charsmap:
        normalize = normalizers.Precompiled(spec.precompiled_charsmap).normalize_str
        spelled = [piece.replace(SPACE, " ") for piece in defined]
        changed = [piece for piece in spelled if normalize(piece) != piece]
        if changed:
            raise ModelError(f"{path}: its normaliser changes the user-defined piece {changed[0]!r}.")
    longest_first = sorted(defined, key=len, reverse=True)
    return pre_tokenizers.Split(Regex("|".join(map(re.escape, longest_first))), behavior="isolated")


def _add_template(
    tokenizer: Any, ids: dict[str, int], special: dict[str, str], add_bos: bool, add_eos: bool
) -> None:
    from tokenizers.processors import TemplateProcessing

    before = [special["bos_token"]] if add_bos and "bos_token" in special else []
    after = [special["eos_token"]] if add_eos and "eos_token" in special else []
    if before or after:
        tokenizer.post_processor = TemplateProcessing(
            single=[*before, "$A", *after], special_tokens=[(piece, ids[piece]) for piece in before + after]
        )
