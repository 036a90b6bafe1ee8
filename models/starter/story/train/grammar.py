"""The story grammar: fills the patterns of ``phrases.py`` and ``plots.py`` with one consistent cast per story.

Owns nothing but the choice of words; the same seed always gives the same corpus.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import phrases
from numpy.random import Generator
from plots import PLOTS, Plot

CHOICE = re.compile(r"\[([^\[\]]+)\]")
SLOT = re.compile(r"\{(\w+)\}")
SMALL_WORDS = {"a", "an", "the", "to", "and", "of"}
PRONOUNS = {"he": ("he", "him", "his", "himself"), "she": ("she", "her", "her", "herself")}
REQUESTS = (
    "Tell me a story about {request}.",
    "Write a story about {request}.",
    "A story about {request}.",
    "Please tell me about {request}.",
    "Tell me a story about {request}. {His} name is {name}.",
    "Tell me a story about {name}, {request}.",
)


def article(noun: str) -> str:
    """``fox`` → ``a fox``, ``owl`` → ``an owl``."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def title_case(words: str) -> str:
    """Capitals as in a title."""
    done = [word if word in SMALL_WORDS else word[:1].upper() + word[1:] for word in words.split()]
    return " ".join([done[0][:1].upper() + done[0][1:], *done[1:]])


def inner_title(words: str) -> str:
    """Capitals as inside a title: the first word keeps its small letter."""
    return words[0] + title_case(words)[1:]


class Story:
    """One story: a cast, a place and a plot drawn from one random generator."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._plot: Plot = self._one(PLOTS)
        self._facts = self._cast() | self._scene()
        self._facts["moral"] = self._one(self._plot.morals)
        self._facts["request"] = self._expand(self._plot.request)

    def _one(self, options: Sequence) -> object:
        return options[int(self._generator.integers(len(options)))]

    def _several(self, options: Sequence, count: int) -> list:
        return [options[i] for i in self._generator.choice(len(options), size=count, replace=False)]

    def _chance(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def _cast(self) -> dict[str, str]:
        facts: dict[str, str] = {}
        names: set[str] = set()
        kinds = self._several(phrases.KINDS, 3)
        traits = self._several(phrases.TRAITS, 2)
        for suffix, kind, trait in zip(("", "2"), kinds, traits, strict=False):
            gender = {"girl": "she", "boy": "he"}.get(kind) or self._one(("he", "she"))
            name = self._one([name for name in phrases.NAMES[gender] if name not in names])
            names.add(name)
            subject, object_, possessive, reflexive = PRONOUNS[gender]
            facts |= {"he" + suffix: subject, "him" + suffix: object_, "his" + suffix: possessive, "himself" + suffix: reflexive}
            facts |= {"name" + suffix: name, "kind" + suffix: kind, "a_kind" + suffix: article(kind)}
            facts |= {"a_trait" + suffix: article(trait), "trait" + suffix: trait}
        return facts | {"kind3": kinds[2], "a_kind3": article(kinds[2]), "kind_cap": kinds[0].capitalize()}

    def _scene(self) -> dict[str, str]:
        places, things = self._several(phrases.PLACES, 2), self._several(phrases.THINGS, 2)
        fear = self._one(list(phrases.FEARS))
        event, deed = phrases.FEARS[fear].split("|")
        skill, build, seed, food = (self._one(getattr(phrases, name)) for name in ("SKILLS", "BUILDS", "SEEDS", "FOODS"))
        weather = self._one(phrases.WEATHER)
        return {
            "place": places[0], "place2": places[1], "spot": self._one(phrases.SPOTS), "home": self._one(phrases.HOMES),
            "thing": things[0], "a_thing": article(things[0]),
            "a_thing3": article(things[1]), "thing_title": title_case(things[0]),
            "fear": fear, "fear_event": event, "fear_deed": deed, "skill": skill, "skill_title": inner_title(skill),
            "build": build, "build_title": inner_title(build), "seed": seed, "seed_cap": seed.capitalize(),
            "food": food, "food_title": title_case(food), "weather": weather, "a_weather": article(weather),
        }  # fmt: skip

    def _fact(self, key: str) -> str:
        if key in ("hero", "friend"):
            suffix = "" if key == "hero" else "2"
            return self._facts["name" + suffix] if self._chance(0.7) else "the " + self._facts["kind" + suffix]
        return self._facts[key]

    def _fill(self, match: re.Match[str]) -> str:
        key = match[1]
        value = self._fact(key[0].lower() + key[1:])
        return value[0].upper() + value[1:] if key[0].isupper() else value

    def _expand(self, pattern: str) -> str:
        chosen = CHOICE.sub(lambda match: self._one(match[1].split("|")), pattern)
        return SLOT.sub(self._fill, chosen)

    def _line(self, patterns: Sequence[str]) -> str:
        return self._expand(self._one(patterns))

    def _head(self) -> str:
        draw = self._generator.random()
        if draw < 0.3:
            return ""
        if draw < 0.6:
            return title_case(self._line(self._plot.titles)) + "\n\n"
        return self._line(REQUESTS) + "\n\n"

    def text(self) -> str:
        """The whole story; paragraphs are separated by a newline."""
        start = [self._line(phrases.OPENINGS)]
        start += [self._expand(pattern) for pattern in self._several(phrases.HABITS, int(self._generator.integers(0, 3)))]
        middle: list[str] = []
        for step in self._plot.steps:
            if step == "FEELINGS_LOW" and self._chance(0.3):
                continue
            sentence = self._line(getattr(phrases, step) if isinstance(step, str) else step)
            middle.append(sentence if middle else self._line(phrases.DAYS) + sentence)
        cut = len(middle) // 2
        endings = sorted(self._several(phrases.ENDINGS, 1 + self._chance(0.5)), key="And they lived happily ever after.".__eq__)
        end = [self._expand(pattern) for pattern in endings]
        return self._head() + "\n".join(" ".join(part) for part in (start, middle[:cut], middle[cut:], end))
