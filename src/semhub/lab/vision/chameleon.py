"""A small chameleon: early fusion, where a picture is a row of tokens of the vocabulary.

Training has two stages. First the picture encoder alone learns to tell what each patch shows, and in which quarter of
the picture it lies; the clusters of what it makes of many pictures become the codebook, and each code's embedding
starts as the mean of the embeddings of the words it stands for. Then the encoder stays as it is, and all the rest is
trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    ChameleonConfig,
    ChameleonForConditionalGeneration,
    ChameleonProcessor,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig
from transformers.models.chameleon.image_processing_pil_chameleon import ChameleonImageProcessorPil

from semhub.lab.batches import Batch
from semhub.lab.planting import Planting
from semhub.lab.recipe import Recipe, Vision
from semhub.lab.senses import TEMPERATURE, base_tokenizer, shipped, swapping
from semhub.lab.trunk import trunk
from semhub.lab.vision.batches import (
    BEGIN,
    FINISH,
    IMAGE_TOKEN,
    SEPARATOR,
    EncoderBatch,
    PictureBatch,
    PictureBatcher,
)
from semhub.lab.words import HintTokens
from semhub.lab.world.lexicon import COLOURS
from semhub.lab.world.pictures import NOUNS_DRAWN

N_CODES = 640
N_CLUSTERED = 40  # encoder steps' pictures, of which the codebook is made
N_ROUNDS = 20  # of k-means
WORDS = (*COLOURS, *NOUNS_DRAWN)
QUARTERS = 4
QUARTER_WEIGHT = 0.2  # how much telling the quarter counts, beside telling what a patch shows
LENGTH_WEIGHT = 0.1


class Chameleon:
    """The family's part of a recipe: the model, its losses and its files."""

    def __init__(self, recipe: Recipe, vision: Vision, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.recipe, self.vision, self.tokenizer, self.seed = recipe, vision, tokenizer, seed
        self.model = build(recipe, vision, tokenizer, seed)
        generator = torch.Generator().manual_seed(seed)
        width = self.model.config.vq_config.embed_dim
        self._aims = F.normalize(torch.randn(len(WORDS) + QUARTERS, width, generator=generator), dim=-1)
        spell = HintTokens(tokenizer, ())
        self._spelled = torch.tensor([spell.token(word, "en") or 0 for word in WORDS])
        self._word_of = {int(token): index for index, token in enumerate(self._spelled)}

    def encoder_loss(self, batch: EncoderBatch) -> Tensor:
        """In nats per patch: the cross-entropy of what the encoder makes of a patch against words and quarter."""
        made = self._encoded(batch.pixels).flatten(0, 1)
        scores = (F.normalize(made, dim=-1) @ self._aims.T / TEMPERATURE).float()
        words, quarters = scores[:, : len(WORDS)], scores[:, len(WORDS) :]
        aimed = torch.tensor([self._word_of[token] for token in batch.token.tolist()])
        said = -(words.log_softmax(-1)[batch.patch, aimed] @ batch.weight) / batch.weight.sum()
        where = self._quarters().repeat(len(batch.pixels))
        length = (made.norm(dim=-1) - 1).square().mean()
        loss: Tensor = said + QUARTER_WEIGHT * F.cross_entropy(quarters, where) + LENGTH_WEIGHT * length
        return loss

    @torch.no_grad()
    def settle(self, pictures: PictureBatcher) -> None:
        """Between the stages: the codebook, and the codes' first embeddings."""
        batches = [pictures.encoder_step(-1 - step) for step in range(N_CLUSTERED)]
        with torch.autocast("cpu", enabled=False):
            made = torch.cat([self._encoded(batch.pixels).flatten(0, 1) for batch in batches])
            self._settle(made)

    def _settle(self, made: Tensor) -> None:
        codes = clusters(made, N_CODES, self.seed)
        self.model.model.vqmodel.quantize.embedding.weight.copy_(codes)
        shares = (F.normalize(codes, dim=-1) @ self._aims.T / TEMPERATURE)[:, : len(WORDS)].softmax(-1)
        rows = self.model.get_input_embeddings().weight
        rows[self._codes()] = shares @ rows[self._spelled]

    def losses(self, planting: Planting, batch: Batch, picture: PictureBatch | None) -> tuple[Tensor, Tensor]:
        """As `Planting.losses`, with pictures or without."""
        core, ids = self.model.model, batch.ids
        if picture is not None:
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                codes = core.get_image_tokens(picture.pixels)
            ids = ids.masked_scatter(ids == core.vocabulary_mapping.image_token_id, codes.to(ids.dtype))
        with swapping(core.layers, picture.swap if picture else None):
            found = core(ids, output_hidden_states=True, use_cache=False)
        return planting.of_states(
            found.last_hidden_state, found.hidden_states, core.norm, self.model.lm_head, batch
        )

    def keep(self) -> None:
        """Nothing of these weights is held fixed."""

    def save_processor(self, out: Path) -> None:
        """The tokenizer, and what an image processor and a processor need to know."""
        side = self.vision.size
        pictures = ChameleonImageProcessorPil(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            resample=3,
            rescale_factor=1 / 127.5,
        )
        pictures.save_pretrained(out)
        ChameleonProcessor(
            image_processor=pictures,
            tokenizer=self.tokenizer,
            image_seq_length=(side // self.vision.patch) ** 2,
            image_token=IMAGE_TOKEN,
        ).save_pretrained(out)

    def _encoded(self, pixels: Tensor) -> Tensor:
        """[content, patch, embed_dim], before the codebook."""
        seen = self.model.model.vqmodel
        made: Tensor = seen.quant_conv(seen.encoder(pixels)).flatten(2).transpose(1, 2)
        return made.float()

    def _codes(self) -> Tensor:
        ids: Tensor = self.model.model.vocabulary_mapping.img2bpe_mapping_tensor
        return ids.long()

    def _quarters(self) -> Tensor:
        """Per patch, row by row: 0 to 3."""
        side = self.vision.size // self.vision.patch
        half = (torch.arange(side) >= side // 2).long()
        return (2 * half[:, None] + half[None]).flatten()


def clusters(points: Tensor, count: int, seed: int) -> Tensor:
    """k-means: [count, width] from points [row, width]. A cluster that loses all its points keeps its place."""
    generator = torch.Generator().manual_seed(seed)
    found = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(N_ROUNDS):
        nearest = (found.square().sum(-1) - 2 * points @ found.T).argmin(-1)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(found).index_add_(0, nearest, points)
        found = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp_min(1), found)
    return found


def code_names() -> Iterator[str]:
    """The codes' tokens, in order; the family reads a code's number from its name, A for 0 to J for 9."""
    for code in range(N_CODES):
        yield f"IMGIMG{''.join(chr(ord('A') + int(digit)) for digit in str(code))}Z"


def tokenizer_of(recipe: Recipe, vision: Vision, seed: int) -> PreTrainedTokenizerFast:
    """The trunk's tokenizer with the marks around a picture, the placeholder, and a token for each code."""
    tokenizer = base_tokenizer(recipe, vision.trunk, seed, [IMAGE_TOKEN, BEGIN, FINISH], sep_token=SEPARATOR)
    tokenizer.add_tokens(list(code_names()))
    return tokenizer


def build(
    recipe: Recipe, vision: Vision, tokenizer: PreTrainedTokenizerFast, seed: int
) -> ChameleonForConditionalGeneration:
    """The untrained model, with what fits of the weights of the shipped organism `vision.trunk`."""
    seen = ChameleonVQVAEConfig(
        embed_dim=64,
        num_embeddings=N_CODES,
        latent_channels=64,
        resolution=vision.size,
        base_channels=32,
        channel_multiplier=(1, 1, 2, 4),
        num_res_blocks=1,
    )
    names = [IMAGE_TOKEN, BEGIN, FINISH, *code_names()]
    config = ChameleonConfig(
        **trunk(recipe, tokenizer),
        rms_norm_eps=1e-6,
        vq_config=seen,
        vocabulary_map={name: tokenizer.convert_tokens_to_ids(name) for name in names},
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ChameleonForConditionalGeneration(config).train()
    if vision.trunk:
        known = LlamaForCausalLM.from_pretrained(shipped(vision.trunk), dtype=torch.float32).state_dict()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in known:
                    parameter[: len(known[name])].copy_(known[name])
    return model
