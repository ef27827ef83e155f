"""Write whole numbers the ways that lists are numbered: 3, c, iii, III, 三."""

from collections.abc import Callable, Sequence
from functools import partial

from app.parsers.numerals import LATIN, repeated, roman

_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщыэюя"
_HEBREW = "אבגדהוזחטיכלמנסעפצקרשת"
_ARABIC = "أبتثجحخدذرزسشصضطظعغفقكلمنهوي"
_ABJAD = "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ"
_AIUEO = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
_GANADA, _CHOSUNG = "가나다라마바사아자차카타파하", "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_STEMS, _BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
_HAN, _FORMAL, _CHINESE_FORMAL = "〇一二三四五六七八九", "零壱弐参四伍六七八九", "零壹贰叁肆伍陆柒捌玖"
_KOREAN = "영일이삼사오육칠팔구"
_FULL_WIDTH = [chr(0xFF10 + digit) for digit in range(10)]
_FROM_ZERO = frozenset(("ordinal", "decimalZero"))
_SMALL_UNITS = ("", "十", "百", "千")


def write(number: int, style: str) -> str:
    """Write a number in a style, by the name that Word has for it; a style that is not known gives digits."""
    spell = _STYLES.get(style)
    first = 0 if style in _FROM_ZERO else 1
    return spell(number) if spell and first <= number < 10_000 else str(number)


def padded(number: int, width: int) -> str:
    return str(number).zfill(min(width, 9))


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _letters(alphabet: str) -> Callable[[int], str]:
    """Make a style of letters."""
    return partial(repeated, alphabet=alphabet)


def _signs(signs: Sequence[str]) -> Callable[[int], str]:
    """Make a style of signs that begin anew after the last."""
    return lambda number: signs[(number - 1) % len(signs)]


def _digits(digits: Sequence[str]) -> Callable[[int], str]:
    return lambda number: "".join(digits[int(digit)] for digit in str(number))


def _counting(digits: str, units: tuple[str, ...] = _SMALL_UNITS, ones: bool = False) -> Callable[[int], str]:
    """Make a style that counts in tens, hundreds and thousands; `ones` writes the one before each of them."""

    def spell(number: int) -> str:
        written = ""
        for place, digit in zip(reversed(range(len(str(number)))), map(int, str(number)), strict=True):
            if digit:
                written += ("" if digit == 1 and place and not ones else digits[digit]) + units[place]
        return written

    return spell


def _enclosed(first: int, count: int) -> Callable[[int], str]:
    """Make a style of single characters, as many as there are from the first on."""
    return lambda number: chr(first + number - 1) if number <= count else str(number)


def _chinese(number: int) -> str:
    """Count as in Chinese: the one is written but in 10 to 19, and a zero stands for empty places between."""
    written, gap = "", False
    for place, digit in zip(reversed(range(len(str(number)))), map(int, str(number)), strict=True):
        if digit:
            one = digit == 1 and place == 1 and number < 20
            written += ("零" if gap else "") + ("" if one else _HAN[digit]) + _SMALL_UNITS[place]
        gap = not digit
    return written


_STYLES: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters(LATIN),
    "upperLetter": _letters(LATIN.upper()),
    "lowerRoman": roman,
    "upperRoman": lambda number: roman(number).upper(),
    "ordinal": _ordinal,
    "decimalZero": lambda number: padded(number, 2),
    "numberInDash": lambda number: f"- {number} -",
    "hex": lambda number: f"{number:X}",
    "chicago": _letters("*†‡§"),
    "decimalFullWidth": _digits(_FULL_WIDTH),
    "decimalFullWidth2": _digits(_FULL_WIDTH),
    "decimalEnclosedCircle": _enclosed(0x2460, 20),
    "decimalEnclosedCircleChinese": _enclosed(0x2460, 20),
    "decimalEnclosedParen": _enclosed(0x2474, 20),
    "decimalEnclosedFullstop": _enclosed(0x2488, 20),
    "ideographEnclosedCircle": _enclosed(0x3280, 10),
    "ideographDigital": _digits(_HAN),
    "japaneseDigitalTenThousand": _digits(_HAN),
    "taiwaneseDigital": _digits(_HAN),
    "koreanDigital": _digits(_KOREAN),
    "japaneseCounting": _counting(_HAN),
    "japaneseLegal": _counting(_FORMAL, ("", "拾", "百", "阡"), ones=True),
    "chineseCounting": _chinese,
    "chineseCountingThousand": _chinese,
    "taiwaneseCounting": _chinese,
    "taiwaneseCountingThousand": _chinese,
    "chineseLegalSimplified": _counting(_CHINESE_FORMAL, ("", "拾", "佰", "仟"), ones=True),
    "koreanCounting": _counting(_KOREAN, ("", "십", "백", "천")),
    "koreanDigital2": _digits(_HAN),
    "aiueoFullWidth": _signs(_AIUEO),
    "aiueo": _signs(_AIUEO),
    "irohaFullWidth": _signs(_IROHA),
    "iroha": _signs(_IROHA),
    "ganada": _signs(_GANADA),
    "chosung": _signs(_CHOSUNG),
    "ideographTraditional": _signs(_STEMS),
    "ideographZodiac": _signs(_BRANCHES),
    "ideographZodiacTraditional": _signs([_STEMS[i % 10] + _BRANCHES[i % 12] for i in range(60)]),
    "russianLower": _letters(_RUSSIAN),
    "russianUpper": _letters(_RUSSIAN.upper()),
    "hebrew2": _letters(_HEBREW),
    "arabicAlpha": _letters(_ARABIC),
    "arabicAbjad": _letters(_ABJAD),
    "hindiNumbers": _digits("०१२३४५६७८९"),
    "thaiNumbers": _digits("๐๑๒๓๔๕๖๗๘๙"),
}
