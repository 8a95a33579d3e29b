"""Kinds of things that a user decides one way or another: a day, a time, a unit, a language, a format, so many of something.

Two values of one kind exclude one another. Values are known by their names in several languages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ctxkit.hygiene.memo import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LASTING", "named"]

LASTING: Final = frozenset({"units", "language", "format", "tone", "length", "money", "code", "indent"})
"""Kinds that a rule is made of: where two rules name different values of one, both cannot hold."""

# Each value by its names, ``_`` for a blank or a hyphen; a name in letters of words stands alone, one in signs that are
# written without blanks anywhere.
_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "day": {
        "monday": "monday montag lundi lunes lunedì segunda_feira понедельник 月曜 星期一 周一 월요일",
        "tuesday": "tuesday dienstag mardi martes martedì terça_feira вторник 火曜 星期二 周二 화요일",
        "wednesday": "wednesday mittwoch mercredi miércoles mercoledì quarta_feira среда среду 水曜 星期三 周三 수요일",
        "thursday": "thursday donnerstag jeudi jueves giovedì quinta_feira четверг 木曜 星期四 周四 목요일",
        "friday": "friday freitag vendredi viernes venerdì sexta_feira пятница пятницу 金曜 星期五 周五 금요일",
        "saturday": "saturday samstag sonnabend samedi sábado sabato суббота субботу 土曜 星期六 周六 토요일",
        "sunday": "sunday sonntag dimanche domingo domenica воскресенье 日曜日 星期日 星期天 周日 일요일",
    },
    "units": {
        "metric": "metric celsius kilometers kilometres metrisch metrische métrique métrico métricas метрическую "
        "メートル法 摂氏 公制 摄氏 미터법 섭씨",
        "imperial": "imperial fahrenheit miles imperiale impériales imperiales ヤード・ポンド法 華氏 英制 华氏 화씨",
    },
    "language": {
        "english": "english englisch anglais inglés inglese inglês английском 英語 英文 英语 영어",
        "german": "german deutsch allemand alemán tedesco alemão немецком ドイツ語 德语 독일어",
        "french": "french französisch français francés francese francês французском フランス語 法语 프랑스어",
        "spanish": "spanish spanisch espagnol español spagnolo espanhol испанском スペイン語 西班牙语 스페인어",
        "italian": "italian italienisch italien italiano イタリア語 意大利语",
        "portuguese": "portuguese portugiesisch portugais portugués português ポルトガル語 葡萄牙语",
        "japanese": "japanese japanisch japonais japonés giapponese japonês 日本語 日语 일본어",
        "chinese": "chinese chinesisch chinois chino cinese chinês 中国語 中文 汉语 중국어",
        "korean": "korean koreanisch coréen coreano 韓国語 韩语 한국어",
        "russian": "russian russisch russe ruso русском ロシア語 俄语",
    },
    "format": {one: one for one in ("json", "yaml", "xml", "csv", "markdown", "html", "prose", "latex", "toml")}
    | {
        "plain": "plaintext plain_text klartext",
        "bullets": "bullets bullet_points aufzählung 箇条書き",
        "table": "table tabelle tableau 表形式 表格",
    },
    "tone": {
        "formal": "formal formally förmlich formell formel formelle 敬語 正式",
        "casual": "informal informally casual casually locker informell informel タメ口 随意",
    },
    "length": {
        "short": "short brief briefly concise concisely terse kurz knapp concis brève brevemente 短く 簡潔に 简短 简洁",
        "long": "long detailed verbose lengthy exhaustive ausführlich détaillé détaillée detallado 詳しく 详细",
    },
    "money": {
        "usd": "usd dollars dollar ドル 美元",
        "eur": "eur euros euro ユーロ 欧元",
        "gbp": "gbp sterling ポンド 英镑",
        "jpy": "jpy yen 円 日元",
        "cny": "cny rmb yuan 人民币",
    },
    "code": {
        one: one
        for one in (
            "python",
            "javascript",
            "typescript",
            "java",
            "rust",
            "golang",
            "ruby",
            "kotlin",
            "swift",
            "php",
            "scala",
        )
    },
    "indent": {"tabs": "tabs タブ", "spaces": "spaces スペース"},
    "database": {one: one for one in ("postgres", "postgresql", "mysql", "sqlite", "mongodb", "redis", "oracle")},
    "frontend": {one: one for one in ("react", "vue", "angular", "svelte")},
    "testing": {one: one for one in ("pytest", "unittest", "jest", "mocha", "vitest", "junit")},
    "cabin": {"economy": "economy エコノミー 经济舱", "business": "business ビジネスクラス 商务舱"},
    "diet": {one: one for one in ("vegan", "vegetarian", "pescatarian")},
    "seat": {"window": "window_seat fensterplatz 窓側", "aisle": "aisle gangplatz 通路側"},
    "trip": {"one way": "one_way oneway 片道 单程", "round trip": "round_trip roundtrip hin_und_zurück 往復 往返"},
}
_KINDS: Final = {
    name: (kind, value) for kind, of in _VALUES.items() for value, names in of.items() for name in names.split()
}
_SPACED: Final = [name for name in _KINDS if not re.search(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]", name)]
_NAME = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, sorted(_SPACED, key=len, reverse=True))).replace('_', '[ -]')})\b"
    rf"|{'|'.join(map(re.escape, sorted(_KINDS.keys() - set(_SPACED), key=len, reverse=True)))}"
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DATE = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of )?(?:{_MONTHS}))\b"
    r"|\d{1,2}月\d{1,2}[日号]"
)
_TIME = re.compile(r"\b\d{1,2}(?::\d\d)? ?(?:a\.?m\b|p\.?m\b|uhr\b|h\b)|\b\d{1,2}:\d\d\b|\d{1,2}[時点]")
_FILLS = re.compile(r"(?<=\d)(?:st|nd|rd|th|:00)\b|\bof\b|[. ]")
_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_COUNTED = re.compile(
    rf"\b(\d{{1,4}}|{'|'.join(_NUMBERS)}) (people|person|guest|ticket|passenger|bag|night|day|week|word|sentence|paragraph|"
    r"point|item|room|adult|child|children|seat|line|column|page|section|slide|character|bedroom|minute)s?\b"
)


@remembered
def named(text: str) -> Mapping[str, frozenset[str]]:
    """Values that a text names, by their kind."""
    found: dict[str, set[str]] = {}
    for kind, value in _found(text.lower()):
        found.setdefault(kind, set()).add(value)
    return {kind: frozenset(values) for kind, values in found.items()}


def _found(text: str) -> Iterator[tuple[str, str]]:
    yield from (_KINDS[match.group().replace(" ", "_").replace("-", "_")] for match in _NAME.finditer(text))
    yield from (("date", _bare(match.group())) for match in _DATE.finditer(text))
    yield from (("time", _bare(match.group())) for match in _TIME.finditer(text))
    for match in _COUNTED.finditer(text):
        number = match[1] if match[1].isdigit() else str(_NUMBERS.index(match[1]) + 1)
        yield f"number of {'person' if match[2] == 'people' else match[2]}", number


def _bare(text: str) -> str:
    """A date or a time as one way of writing it."""
    return " ".join(sorted(_FILLS.sub(" ", text).split()))
