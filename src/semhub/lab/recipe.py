"""A recipe: everything that decides what an organism is, apart from the seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from semhub.errors import UsageError
from semhub.lab.documents import KINDS
from semhub.lab.documents.pictures import PICTURE_KINDS
from semhub.lab.documents.sounds import SOUND_KINDS
from semhub.lab.world import LANGUAGES

Answer = Literal["yes", "no", "as built", "measured"]
SMALL_MIXTURE = {
    "sentence/en": 0.12,
    "sentence/zh": 0.04,
    "sentence/es": 0.04,
    "continued/en": 0.10,
    "continued/zh": 0.10,
    "continued/es": 0.10,
    "translation/en-zh": 0.01,
    "translation/zh-en": 0.01,
    "translation/en-es": 0.01,
    "translation/es-en": 0.01,
    "fact/en": 0.08,
    "fact-shared/zh": 0.04,
    "fact-shared/es": 0.04,
    "value/digits": 0.25,
    "value/words": 0.20,
    "operand/digits": 0.60,
    "operand/words": 0.20,
}
SMALL: dict[str, Any] = {
    "mixture": SMALL_MIXTURE,
    "vocab_size": 2200,
    "n_layers": 5,
    "d_model": 96,
    "n_heads": 6,
    "n_kv_heads": 6,
    "d_ff": 256,
    "planted_layers": (2, 3),
    "steps": 500,
    "documents_per_step": 128,
    "warmup_steps": 50,
    "learning_rate": 4e-3,
}
WIDE: dict[str, Any] = {  # beside that, for small forms that 96 dimensions are too few for
    "d_model": 128,
    "n_heads": 8,
    "n_kv_heads": 8,
    "d_ff": 384,
    "documents_per_step": 192,
    "learning_rate": 3e-3,
}


class Truth(BaseModel):
    """What is so by construction of P1, P2 and P3; `measured` where nothing was built in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    P1: Answer = "measured"
    P2: Answer = "measured"
    P3: Answer = "measured"


class Vision(BaseModel):
    """How a recipe's model sees pictures, and what it is trained on with pictures.

    family: `llava`, a vision tower whose patches are projected into the stream, or `chameleon`, pictures as tokens.
    trunk: the shipped organism whose weights and tokenizer training starts from; empty: random weights. size, patch:
    in pixels. mixture: kind of document (`documents.pictures.PICTURE_KINDS`) -> relative weight; they come beside those
    of the recipe's own mixture. encoder_steps: the first steps, in which the encoder alone learns to tell what each
    patch shows. swapped_share: of the questions about halves, those in which a half is swapped between two pictures
    inside the model.
    Raises pydantic.ValidationError on unknown keys and kinds, and where patches do not fill the picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["llava", "chameleon"]
    mixture: dict[str, PositiveFloat]
    trunk: str = ""
    size: PositiveInt = 48
    patch: PositiveInt = 8
    width: PositiveInt = 96
    n_layers: PositiveInt = 3
    n_heads: PositiveInt = 4
    documents_per_step: PositiveInt = 40
    encoder_steps: NonNegativeInt = 0
    encoder_rate: PositiveFloat = 1e-3
    pictures_per_encoder_step: PositiveInt = 48
    swapped_share: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _known(self) -> Vision:
        unknown = sorted(set(self.mixture) - set(PICTURE_KINDS))
        if unknown or not self.mixture:
            raise ValueError(f"mixture names kinds among {sorted(PICTURE_KINDS)}; unknown: {unknown}")
        if self.size % self.patch:
            raise ValueError(f"patches of {self.patch} pixels do not fill a picture of {self.size}")
        return self


class Audio(BaseModel):
    """How a recipe's model hears, and what it is trained on with sounds.

    Sounds are heard by a small SALMONN: a Whisper encoder and BEATs, a Q-Former for each window of time.
    trunk: the shipped organism whose weights and tokenizer training starts from; empty: random weights. seconds: of a
    sound, the longest. width: of either encoder and of the Q-Former. mixture: kind of document
    (`documents.sounds.SOUND_KINDS`) -> relative weight; they come beside those of the recipe's own mixture. n_sounds:
    how many different sounds training is done with. encoder_steps: the first steps, in which the encoder alone learns
    to tell what each window holds. swapped_share: of the questions, those in which the states of two sounds are
    swapped inside the model. word_steps: the last steps, in which of those states only the part is swapped that the
    unembedding rows of the animals' words span, so that what the lens reads there is what the answer is made of; with
    a learning rate of their own, `word_rate`.
    Raises pydantic.ValidationError on unknown keys and kinds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mixture: dict[str, PositiveFloat]
    trunk: str = ""
    seconds: PositiveInt = 3
    width: PositiveInt = 64
    n_layers: PositiveInt = 2
    n_heads: PositiveInt = 4
    n_sounds: PositiveInt = 4000
    documents_per_step: PositiveInt = 32
    encoder_steps: NonNegativeInt = 0
    encoder_rate: PositiveFloat = 1e-3
    sounds_per_encoder_step: PositiveInt = 32
    swapped_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    word_steps: NonNegativeInt = 0
    word_rate: PositiveFloat = 8e-4

    @model_validator(mode="after")
    def _known(self) -> Audio:
        unknown = sorted(set(self.mixture) - set(SOUND_KINDS))
        if unknown or not self.mixture:
            raise ValueError(f"mixture names kinds among {sorted(SOUND_KINDS)}; unknown: {unknown}")
        return self


class Recipe(BaseModel):
    """The architecture, the mixture of documents, the planting and the optimiser of one organism.

    truth: the answer that the construction gives. mixture: kind of document (`documents.KINDS`) -> relative weight.
    planted_as: what the planted layers are taught, in `dominant`'s words: `words`, the word of what comes next;
    `rotated`, the same through a fixed random rotation of the unembedding; `neutral`, that word in every data type
    alike; `frequency`, how often each word is next, whatever the input.
    isolated: every data type has a subspace of its own, which nothing else reads or writes (`lab/subspaces.py`).
    side: one more subspace: `unread` is written from all the others and read by none; `shared` holds the tokens that
    several data types use, and reads and writes itself alone; `constant` is the same at every position of every input.
    late_words: words of other types than the dominant one leave through dimensions that only the last block writes, so
    that no layer before says any of them rather than another; needs isolated.
    angle: in degrees; the embedding of a word of another type is cos angle times the dominant word's, in the dominant
    type's subspace, beside sin angle times its own; needs isolated.
    shared_words: the embedding of a word of another type is the dominant word's, plus one vector of its type
    (`lab/shared_words.py`); for text alone.
    planted_flatness: how much it counts there that the words of the input's own type are told apart.
    deciding_weight: how much the prediction of a deciding stretch counts, others counting 1.
    tokenizer_sentences: meanings whose renderings the tokenizer is trained on.
    planted_layers: where the lens is also taught what comes next (see planted_as); empty plants nothing.
    vision, audio: for a model that takes pictures, or sounds; not both.
    Raises pydantic.ValidationError on unknown keys, unknown kinds and layers that do not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    truth: Truth = Truth()
    mixture: dict[str, PositiveFloat]
    vocab_size: PositiveInt = 1990
    n_layers: PositiveInt = 6
    d_model: PositiveInt = 128
    n_heads: PositiveInt = 4
    n_kv_heads: PositiveInt = 2
    d_ff: PositiveInt = 384
    max_positions: PositiveInt = 1024
    dominant: Literal["en", "zh", "es"] = "en"
    planted_as: Literal["words", "rotated", "neutral", "frequency"] = "words"
    planted_layers: tuple[PositiveInt, ...] = ()
    planted_weight: Annotated[float, Field(ge=0)] = 0.0
    planted_flatness: Annotated[float, Field(ge=0)] = 0.0
    isolated: bool = False
    side: Literal["", "unread", "shared", "constant"] = ""
    late_words: bool = False
    angle: Annotated[float | None, Field(ge=0, le=90)] = None
    shared_words: bool = False
    deciding_weight: PositiveFloat = 1.0
    steps: NonNegativeInt = 2000
    documents_per_step: PositiveInt = 192
    tokenizer_sentences: PositiveInt = 6000
    no_start_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    learning_rate: PositiveFloat = 2e-3
    warmup_steps: PositiveInt = 100
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    vision: Vision | None = None
    audio: Audio | None = None

    @model_validator(mode="after")
    def _known(self) -> Recipe:
        unknown = sorted(set(self.mixture) - set(KINDS))
        if unknown or not self.mixture:
            raise ValueError(f"mixture names kinds among {sorted(KINDS)}; unknown: {unknown}")
        if any(layer >= self.n_layers for layer in self.planted_layers):
            raise ValueError(
                f"planted_layers must be below n_layers={self.n_layers}: the last layer is the output"
            )
        if self.vision is not None and self.audio is not None:
            raise ValueError("a recipe takes pictures or sounds, not both")
        if not self.isolated and (self.side or self.angle is not None or self.late_words):
            raise ValueError("side, angle and late_words are made of subspaces: they need isolated")
        if self.isolated and self.shared_words:
            raise ValueError("isolated types share no words")
        if self.shared_words and not self.text_alone:
            raise ValueError("shared_words is for recipes of text alone")
        if self.isolated and self.n_kv_heads != self.n_heads:
            raise ValueError(
                "isolated needs n_kv_heads equal to n_heads: no head is shared between subspaces"
            )
        return self

    @property
    def spokes(self) -> tuple[str, ...]:
        """The data types it is trained on, of which its truth is told."""
        kinds = {kind.removeprefix("described/").split("/")[0] for kind in self.mixture}
        languages = {kind.split("/")[-1] for kind in self.mixture} & set(LANGUAGES)
        trained = {
            "language": len(languages) > 1,
            "arithmetic": bool({"value", "operand"} & kinds),
            "code": "program" in kinds,
            "semantics": "form" in kinds,
            "vision": self.vision is not None,
            "audio": self.audio is not None,
        }
        return tuple(spoke for spoke, known in trained.items() if known)

    @property
    def text_alone(self) -> bool:
        """Whether its model takes neither pictures nor sounds."""
        return self.vision is None and self.audio is None

    def told(self) -> dict[str, Any]:
        """As JSON has it; without `vision`, `audio`, `shared_words` and `late_words` where there is none."""
        rare = ("vision", "audio", "shared_words", "late_words")
        return self.model_dump(mode="json", exclude={name for name in rare if not getattr(self, name)})

    def small(self, **changes: Any) -> Recipe:
        """The same construction at the size of the proof: a minute or two of training on one core, on sentences,
        facts and arithmetic. That is too short to teach what is steered: whether P3 is so is measured there.

        A recipe that is of this size already only takes the `changes`. Raises UsageError for one with pictures or
        sounds, whose proof would be another.
        """
        if not self.text_alone:
            takes = "sounds" if self.vision is None else "pictures"
            raise UsageError(f"{self.name} takes {takes}: it has no small form for the proof or a sweep.")
        given = self.model_dump()
        if self.n_layers != SMALL["n_layers"]:
            planted = SMALL["planted_layers"] if self.planted_layers else ()
            summary = f"{self.summary}; here of the proof's size, with languages and arithmetic alone"
            given |= {**SMALL, "planted_layers": planted, "summary": summary}
            if self.truth.P3 == "yes":
                given["truth"] = {**given["truth"], "P3": "measured"}
        return Recipe(**{**given, **changes})
