"""What the families that take pictures have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files

from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from semhub.lab.recipe import Recipe, Vision
from semhub.lab.tokenizer import train_tokenizer
from semhub.lab.vision.batches import Swap

TEMPERATURE = 0.07  # of the cosines between what an encoder makes of a patch and what it is to say


@contextmanager
def swapping(layers: nn.ModuleList, swap: Swap | None) -> Iterator[None]:
    """Within it, states are swapped after one of the blocks."""
    if swap is None:
        yield
        return

    def exchanged(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor]) -> object:
        states = output if isinstance(output, Tensor) else output[0]
        flat = states.flatten(0, 1)
        states = flat.index_copy(0, swap.at, flat[swap.by]).view_as(states)
        return states if isinstance(output, Tensor) else (states, *output[1:])

    hook = layers[swap.layer - 1].register_forward_hook(exchanged)
    try:
        yield
    finally:
        hook.remove()


def base_tokenizer(
    recipe: Recipe, vision: Vision, seed: int, special: Sequence[str], sep_token: str | None = None
) -> PreTrainedTokenizerFast:
    """The tokenizer of the trunk, or one trained for the recipe, with further special tokens."""
    if vision.trunk:
        known = AutoTokenizer.from_pretrained(shipped(vision.trunk))
    else:
        known = train_tokenizer(recipe.vocab_size, seed, recipe.tokenizer_sentences, tuple(recipe.mixture))
    return PreTrainedTokenizerFast(
        tokenizer_object=known.backend_tokenizer,
        bos_token=known.bos_token,
        eos_token=known.eos_token,
        pad_token=known.pad_token,
        model_max_length=known.model_max_length,
        additional_special_tokens=list(special),
        **({"sep_token": sep_token} if sep_token else {}),
    )


def shipped(name: str) -> str:
    """The folder of a shipped organism."""
    return str(files("semhub.organisms").joinpath(name))
