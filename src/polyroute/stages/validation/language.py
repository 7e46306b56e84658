"""Accepts an answer in one of the wanted languages. A heuristic: it reads scripts and frequent words, no model.

A language with a script of its own (Greek, Hebrew, Thai, Korean, Japanese by its kana …) is told by its letters; those
that share one (Latin, Cyrillic, Arabic) by their most frequent words. Short texts, names and code say too little:
then nothing is rejected. Related languages are told apart only as far as their small words differ.
"""

from collections import Counter
from typing import ClassVar

from msgspec import Struct

from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

_READ = 4_000  # characters: enough to tell
_LEAST_LETTERS = 20
_LEAST_WORDS = 3  # frequent ones, of any language

# First and last letter of the blocks (Unicode 15, Blocks.txt) that decide by themselves.
_SCRIPTS: tuple[tuple[str, str, str], ...] = (
    ("greek", "\u0370", "\u03ff"), ("cyrillic", "\u0400", "\u052f"), ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u077f"), ("devanagari", "\u0900", "\u097f"), ("bengali", "\u0980", "\u09ff"),
    ("tamil", "\u0b80", "\u0bff"), ("thai", "\u0e00", "\u0e7f"), ("georgian", "\u10a0", "\u10ff"),
    ("hangul", "\u1100", "\u11ff"), ("kana", "\u3040", "\u30ff"), ("han", "\u3400", "\u9fff"),
    ("hangul", "\uac00", "\ud7af"),
)  # fmt: skip
_OF_SCRIPT = {
    "el": "greek", "he": "hebrew", "hi": "devanagari", "bn": "bengali", "ta": "tamil", "th": "thai", "ka": "georgian",
    "ko": "hangul", "ja": "kana", "zh": "han", "ru": "cyrillic", "uk": "cyrillic", "bg": "cyrillic", "ar": "arabic",
    "fa": "arabic", "ur": "arabic",
}  # fmt: skip
_WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "en": "the of and to is in that it for was on are with as this be have not you by from or at which but they",
        "de": "der die und das ist nicht ein eine zu den mit von sich auf für dem im es auch sie wird werden sind oder",
        "fr": "le la les des et est une dans que pour pas qui sur du au avec ce il elle nous vous sont être mais ou",
        "es": "el la los las que y en un una es por con para no se del al como más pero su está son o este",
        "it": "il di che è la e un una per non in sono con del della si come più ma anche gli questo nel le da",
        "pt": "o que e de não um uma para com os as do da em é se por mais como mas ao foi são à está",
        "nl": "de het een en van is dat niet te op zijn met voor die er aan als ook maar bij dit worden naar of wordt",
        "sv": "och att det är som en på av för med den till inte har ett om de var kan eller från men vi ska så",
        "da": "og at det er en på af for med den til ikke har et om de var kan eller fra men vi skal så der",
        "no": "og at det er en på av for med den til ikke har et om de var kan eller fra men vi skal så som",
        "fi": "ja on ei että se oli hän mutta ovat kun niin myös joka tai kuin olla jos sen ole mitä tämä voi vain",
        "pl": "i w nie na się z do to że jest o jak ale po co za od są przez dla czy tak ma był może",
        "cs": "a se v na je že s to z do i o k ve pro za by jsou ale od jako po jeho byl nebo které",
        "ro": "și în de la a cu nu că pe este din să mai un o care pentru sunt ca au fi prin dar sau",
        "hu": "a az és hogy nem is egy van ez meg de volt csak már mint vagy ki ha minden még lehet azt kell",
        "tr": "ve bir bu da de için ile çok olarak ne daha gibi olan var en kadar değil ama sonra her ya ki",
        "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya adalah ke ada atau bisa oleh",
        "vi": "và của là có được cho không một trong những với các người đã này để khi từ về đó",
        "ru": "и в не на что с по это как но он она к из за то так же от для было все мы или",
        "uk": "і в не на що з та до це як але він вона за про від для так його було або ми є",
        "bg": "и в не на че с да се за от по но като е са това която той тя или са ще има",
        "ar": "في من على إلى أن هذا التي الذي عن مع كان لا ما هو هي كل بين ذلك لم قد",
        "fa": "و در به از که این را با است برای آن یک می‌شود تا بود بر هم نیست شد یا",
        "ur": "کے میں کی ہے اور سے کا کو نے پر یہ ہیں کہ اس نہیں تھا بھی ایک لیے ہو",
    }.items()
}
KNOWN = tuple(sorted({*_WORDS, *_OF_SCRIPT}))


class Language(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ClassVar[str] = "language"

    languages: tuple[str, ...]  # ISO 639-1

    async def judge(self, request: Request, response: Response) -> Verdict:
        shares = shares_of(response.text[:_READ])
        if not shares:
            return Verdict(gate=self.name, accepted=True, reasons=("too short to tell its language",))
        found = max(shares, key=lambda name: shares[name])
        score = max(shares.get(wanted, 0.0) for wanted in self.languages)
        if score >= shares[found]:
            return Verdict(gate=self.name, accepted=True, score=score)
        wanted = ", ".join(self.languages)
        return Verdict(gate=self.name, accepted=False, score=score, reasons=(f"reads like {found}, not {wanted}",))

    def problem(self) -> str | None:
        strange = next((name for name in self.languages if name not in KNOWN), None)
        if strange is None:
            return None
        return f"`{strange}` is none of the languages it tells apart: {', '.join(KNOWN)}"


def shares_of(text: str) -> dict[str, float]:
    """By language, 0..1: how much of what tells a language speaks for it. Empty where too little does."""
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    letters = sum(scripts.values())
    if letters < _LEAST_LETTERS and not (set(scripts) - {"latin"}):
        return {}
    leading = scripts.most_common(1)[0][0] if scripts else "latin"
    if scripts["kana"] * 20 > letters:  # Japanese holds more Chinese characters than kana, Chinese no kana
        leading = "kana"
    rivals = [name for name in KNOWN if _OF_SCRIPT.get(name, "latin") == leading]
    if len(rivals) == 1:
        return {rivals[0]: 1.0}
    words = Counter(word.strip(".,;:!?()[]\"'«»“”„،؟") for word in text.lower().split())
    hits = {name: sum(words[word] for word in _WORDS.get(name, ())) for name in rivals}
    most = max(hits.values(), default=0)
    if most < _LEAST_WORDS:
        return {}
    return {name: count / most for name, count in hits.items() if count}


def _script(letter: str) -> str:
    if letter < "\u0370":
        return "latin"
    return next((name for name, first, last in _SCRIPTS if first <= letter <= last), "latin")
