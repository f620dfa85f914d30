"""Training an organism: deterministic from its seed, checkpointed, resumable, on one CPU thread or an accelerator.

One thread is nearly as fast as several at this size, and makes the weights independent of their number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from semhub.errors import RunFolderError, UsageError
from semhub.lab.batches import Batcher, used_tokens
from semhub.lab.device import halved, making, repeatable, usable
from semhub.lab.export import export
from semhub.lab.planting import Planting
from semhub.lab.recipe import Recipe
from semhub.lab.shared_words import SharedWords, word_tokens
from semhub.lab.subspaces import Graded, Zeros
from semhub.lab.tokenizer import train_tokenizer
from semhub.lab.trunk import trunk

CHECKPOINT = "checkpoint.safetensors"
FINAL_RATE = 0.02  # of the peak learning rate, at the last step
LARGEST_NORM = 1.0
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of what has been trained so far


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a training run after `step` of `steps`; losses in nats per predicted token, by weight."""

    step: int
    steps: int
    loss: float
    planted_loss: float


def train(
    recipe: Recipe,
    out_dir: str | Path,
    seed: int = 0,
    *,
    steps: int | None = None,
    checkpoint_every: int = 100,
    progress: Callable[[Progress], None] | None = None,
    snapshots: Sequence[int] = (),
    device: str = "cpu",
) -> Path:
    """Trains `recipe`, writes a Hugging Face checkpoint with tokenizer and card to `out_dir`, returns that.

    A checkpoint of the same recipe and seed in `out_dir` is continued; it is deleted when training ends.
    steps: stop after that many steps and leave only the checkpoint. snapshots: steps after which the model is also
    written, to `out_dir/step-000400`. device: for recipes of text alone an accelerator will do, which rounds otherwise.
    On the CPU the weights are a function of recipe and seed, whatever the interruptions. Raises UsageError if
    `out_dir` holds another recipe's or seed's checkpoint and for a device that cannot be used, RunFolderError if the
    folder cannot be written.
    """
    out, place = Path(out_dir), check_device(recipe, device)
    last = recipe.steps if steps is None else min(steps, recipe.steps)
    with repeatable(place):
        with making(place):
            course = course_of(recipe, seed)
        model = course.model
        optimiser = torch.optim.AdamW(
            model.parameters(), recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay
        )
        try:
            out.mkdir(parents=True, exist_ok=True)
            first = _resume(out / CHECKPOINT, recipe, seed, model, optimiser)
            for step in range(first, last):
                done = _step(course, optimiser, recipe, step, place)
                course.keep()
                if step + 1 in snapshots:
                    _export(course, recipe, seed, out / f"step-{step + 1:06d}", step + 1)
                if (step + 1) % checkpoint_every == 0 or step + 1 == last:
                    _save(out / CHECKPOINT, recipe, seed, step + 1, model, optimiser)
                if progress is not None:
                    progress(done)
            if last == recipe.steps:
                _export(course, recipe, seed, out)
                (out / CHECKPOINT).unlink(missing_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"cannot write {out}: {error.strerror or error}. Choose another --out."
            ) from error
    return out


def check_folder(out: Path) -> None:
    """Raises RunFolderError for a folder that holds anything but a training to go on with."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / CHECKPOINT).exists()):
        raise RunFolderError(
            f"{out} holds a finished model or other files, which are not overwritten. Choose another --out."
        )


def check_device(recipe: Recipe, name: str) -> torch.device:
    """The device of that name. Raises UsageError for one that the recipe cannot be trained on."""
    found = usable(name)
    if not recipe.text_alone and found.type != "cpu":
        raise UsageError(f"{recipe.name} takes pictures or sounds: it is trained on the CPU alone.")
    return found


class Course(Protocol):
    """What is trained, step by step."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    def losses(self, step: int) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Of each batch of the step, in nats: the next-token and the planted loss, and the whole step's weight."""

    def rate(self, step: int) -> float:
        """The learning rate of the step."""

    def keep(self) -> None:
        """Makes what holds of the weights hold, after every step."""

    def save_processor(self, out: Path) -> None:
        """Writes what the model's inputs are made with."""


class TextCourse:
    """The training of a llama on documents without pictures."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe = recipe
        self.tokenizer = train_tokenizer(
            recipe.vocab_size, seed, recipe.tokenizer_sentences, tuple(recipe.mixture)
        )
        self.model = build(recipe, self.tokenizer, seed)
        self._keep = constraint(self.model, recipe, self.tokenizer, seed)
        self._batcher = Batcher(recipe, self.tokenizer, seed)
        self._planting = Planting(recipe, self._batcher, seed)

    def losses(self, step: int) -> Iterator[tuple[Tensor, Tensor, float]]:
        batches = self._batcher.step(step)
        total = sum(batch.weight.sum().item() for batch in batches)
        for batch in batches:
            yield *self._planting.losses(self.model, batch), total

    def rate(self, step: int) -> float:
        return learning_rate(self.recipe, step)

    def keep(self) -> None:
        self._keep()

    def save_processor(self, out: Path) -> None:
        self.tokenizer.save_pretrained(out)


def course_of(recipe: Recipe, seed: int) -> Course:
    """The course of a recipe: with pictures, with sounds or with neither."""
    if recipe.vision is not None:
        from semhub.lab.vision.course import PictureCourse

        return PictureCourse(recipe, seed)
    if recipe.audio is not None:
        from semhub.lab.audio.course import SoundCourse

        return SoundCourse(recipe, seed)
    return TextCourse(recipe, seed)


def build(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """The untrained llama of a recipe, initialised from `seed` without touching torch's global generator."""
    config = LlamaConfig(
        **trunk(recipe, tokenizer),
        mlp_bias=recipe.side == "constant",
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).train()
    place: torch.device = torch.get_default_device()
    return model if place.type == "cpu" else model.to(place)


def constraint(
    model: LlamaForCausalLM, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int
) -> Callable[[], None]:
    """What holds of the recipe's weights after every step, made so now and at every call of the function returned."""
    kept: list[Callable[[], None]] = []
    if recipe.isolated:
        zeros = Zeros(model, recipe, used_tokens(recipe, tokenizer, seed))
        kept.append(zeros.apply)
        if recipe.angle is not None:
            kept.append(Graded(model, zeros, recipe, word_tokens(recipe, tokenizer)).apply)
    if recipe.shared_words:
        kept.append(SharedWords(model, recipe, word_tokens(recipe, tokenizer)).apply)

    def keep() -> None:
        for apply in kept:
            apply()

    keep()
    return keep


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine down to FINAL_RATE of the peak."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


def _step(
    course: Course, optimiser: torch.optim.AdamW, recipe: Recipe, step: int, device: torch.device
) -> Progress:
    loss = planted_loss = 0.0
    batches = course.losses(step)
    while True:
        with making(device), halved(device):
            found = next(batches, None)
        if found is None:
            break
        following, planted, total = found
        ((following + recipe.planted_weight * planted) / total).backward()  # type: ignore[no-untyped-call]
        loss += following.item() / total
        planted_loss += planted.item() / total
    torch.nn.utils.clip_grad_norm_(course.model.parameters(), LARGEST_NORM)
    for group in optimiser.param_groups:
        group["lr"] = course.rate(step)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return Progress(step + 1, recipe.steps, loss, planted_loss)


def _export(course: Course, recipe: Recipe, seed: int, out: Path, step: int | None = None) -> None:
    export(course.model, recipe, seed, out, step)
    course.save_processor(out)


def _save(
    path: Path, recipe: Recipe, seed: int, step: int, model: PreTrainedModel, optimiser: torch.optim.AdamW
) -> None:
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"parameter/{name}"] = parameter.detach().cpu()
        for moment in MOMENTS if parameter in optimiser.state else ():
            tensors[f"{moment}/{name}"] = optimiser.state[parameter][moment].cpu()
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, {"step": str(step), "seed": str(seed), "recipe": _recipe_text(recipe)})
    temporary.replace(path)


def _resume(
    path: Path, recipe: Recipe, seed: int, model: PreTrainedModel, optimiser: torch.optim.AdamW
) -> int:
    """Loads the checkpoint, if there is one, and returns the number of steps it has behind it."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as checkpoint:
            metadata = checkpoint.metadata() or {}
            if metadata.get("recipe") != _recipe_text(recipe) or metadata.get("seed") != str(seed):
                raise UsageError(
                    f"{path} belongs to another recipe or seed. Delete it or choose another --out."
                )
            step, known = int(metadata["step"]), set(checkpoint.keys())
            for name, parameter in model.named_parameters():
                parameter.data.copy_(checkpoint.get_tensor(f"parameter/{name}"))
                if f"{MOMENTS[0]}/{name}" in known:
                    moments = {moment: checkpoint.get_tensor(f"{moment}/{name}") for moment in MOMENTS}
                    optimiser.state[parameter] = {  # the optimiser counts steps on the CPU
                        moment: one if moment == "step" else one.to(parameter.device)
                        for moment, one in moments.items()
                    }
    except SafetensorError as error:
        raise UsageError(
            f"{path} is not a readable checkpoint: {error}. Delete it and train again."
        ) from error
    return step


def _recipe_text(recipe: Recipe) -> str:
    return json.dumps(recipe.told(), sort_keys=True)
