"""A small world of prompts whose difficulty shows in their words: sums are hard for the weak model, rhymes are not."""

from decimal import Decimal
from random import Random

from polyroute.learning.rows import Rate, Row
from polyroute.learning.training import Sample, sample_of

MODELS = ("weak", "strong")
RATES = {
    "weak": Rate(input_usd=Decimal("0.1"), output_usd=Decimal("0.4")),
    "strong": Rate(input_usd=Decimal(3), output_usd=Decimal(15)),
}
_HARD = ("integral", "theorem", "polynomial", "eigenvalue", "derivative", "proof")
_EASY = ("rhyme", "greeting", "colour", "animal", "weather", "recipe")
_FILL = ("please", "write", "about", "the", "short", "nice", "with", "some", "of", "for", "my", "a", "new", "old")


def rows(number: int, *, seed: int = 1, signal: bool = True) -> tuple[Row, ...]:
    """Half are hard. Without a signal, what is scored has nothing to do with the words."""
    draw = Random(seed)
    told = []
    for at in range(number):
        hard = draw.random() < 0.5
        words = [*draw.choices(_HARD if hard else _EASY, k=2), *draw.choices(_FILL, k=draw.randint(5, 30)), str(at)]
        draw.shuffle(words)
        is_hard = hard if signal else draw.random() < 0.5
        scores = {"weak": float(draw.random() < (0.2 if is_hard else 0.9)), "strong": float(draw.random() < 0.9)}
        told.append(
            Row(
                id=at,
                prompt=" ".join(words),
                scores=scores,
                input_tokens=len(words),
                output_tokens={"weak": 50, "strong": 50},
            )
        )
    return tuple(told)


def sample(number: int = 400, *, seed: int = 1, signal: bool = True) -> Sample:
    return sample_of(rows(number, seed=seed, signal=signal), MODELS, RATES)
