"""Fit the calibrated estimator on recorded requests and write the table that the package ships.

    python -m scripts.fit_estimator [--data FOLDER] [--date YYYY-MM-DD]

Errors are measured on recordings that the fit did not see (five folds of whole recordings); the intervals come from
those on whole projects that it did not see (``scripts/widths.py``). The weights that are shipped are fitted on
everything. ``python -m scripts.accuracy`` writes what was reached.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctxkit.metering.exact import exact_for
from ctxkit.metering.families import family_of, group_of
from ctxkit.metering.fitted import spread
from scripts.fitting import Case, Fit, cases_of, parent_name
from scripts.recorded import DATA, Sample, fold_of, samples
from scripts.widths import Widths, plain_steps, strangers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["held_out", "openai_errors", "rows_of"]

TABLE = Path(__file__).parent.parent / "ctxkit" / "metering" / "data" / "calibration.json"
FOLDS = 5

Error = tuple[float, float]
"""Expected tokens, and how many more were reported, in units of ``spread``."""


def held_out(
    cases: Sequence[Case], fold: Callable[[Case], int] | None = None, asked: Sequence[Case] | None = None
) -> list[tuple[Case, float]]:
    """Every case with what a fit expected of it that had not seen its recording.

    Args:
        cases: what is fitted on.
        fold: what is held out together; by default whole recordings, in five folds.
        asked: what is predicted; by default ``cases``.
    """
    place = fold or (lambda case: fold_of(case.sample.recording, FOLDS))
    results = []
    for mine in sorted({place(case) for case in cases}):
        fit = Fit([case for case in cases if place(case) != mine]).run()
        results += [(case, fit.predict(case)) for case in asked or cases if place(case) == mine]
    return results


def rows_of(fit: Fit) -> dict[str, dict[str, float]]:
    """Weights of every row, where they differ in earnest from the row it builds on."""
    rows: dict[str, dict[str, float]] = {}
    whole: dict[str, dict[str, float]] = {}
    for name in sorted(fit.rows, key=_depth):
        parent = {} if name == "*" else whole[parent_of(fit, name)]
        rows[name] = {
            key: _rounded(key, value)
            for key, value in sorted(fit.rows[name].items())
            if abs(value - parent.get(key, 0.0)) > _matters(key)
        }
        whole[name] = parent | rows[name]
    for name, row in rows.items():
        if name in fit.families and fit.keeps_tools(name):
            row["keeps.tools"] = 1.0
    return {name: row for name, row in sorted(rows.items()) if row or name in fit.families}


def _depth(name: str) -> tuple[int, str]:
    """Rows before those that build on them."""
    level = 0 if name == "*" else 1 if name[0] == "~" else 3 if name[0] == "=" else 2
    return level + 2 * ("@" in name), name


def parent_of(fit: Fit, name: str) -> str:
    """The row that ``name`` builds on."""
    if "@" in name:
        return parent_name(name)
    if name.startswith("="):
        return next((case.family for case in fit.cases if case.stem == name[1:]), family_of(name[1:]))
    return "*" if name.startswith("~") or f"~{group_of(name)}" not in fit.rows else f"~{group_of(name)}"


_TEXTUAL = ("k.", "t.", "tokens", "reasoning", "tagged", "signature")


def _rounded(key: str, value: float) -> float:
    """Three digits for weights of text, whole tokens for hidden prompts, a tenth for the rest."""
    return round(value, 3 if key.startswith(_TEXTUAL) else 0 if key.startswith("f.") else 1)


def _matters(key: str) -> float:
    """A difference of less than this is not written down."""
    return 0.01 if key.startswith(_TEXTUAL) else 0.6 if key.startswith("f.") else 0.25


def openai_errors(found: Iterable[Sample]) -> dict[str, list[Error]]:
    """Errors of the exact count of OpenAI models beyond the slack it gives itself, by generation."""
    errors: defaultdict[str, list[Error]] = defaultdict(list)
    for sample in found:
        scale = exact_for(sample.platform, sample.model)
        if scale is None:
            continue
        conversation = sample.conversation
        weights = [scale.message(conversation.messages, place) for place in range(len(conversation.messages))]
        last = max((place for place, weight in enumerate(weights) if weight.turn), default=-1)
        tokens = sum(weight.tokens for weight in weights) + sum(weight.current for weight in weights[last + 1 :])
        added, off, _ = scale.frame(conversation, scale.schema)
        expected, off = tokens + added, off + sum(weight.slack for weight in weights)
        beyond = sample.total - expected
        beyond = max(0.0, beyond - off) + min(0.0, beyond + off)
        tools = "+tools" if conversation.messages and conversation.messages[0].role == "tools" else ""
        for name in ("openai", scale.family):
            errors[name + tools].append((expected, beyond / spread(expected)))
    return errors


def build(folder: Path, date: str) -> dict[str, Any]:
    """The whole table."""
    everything = [sample for sample in samples(folder) if sample.left_out is None]
    fitted = [sample for sample in everything if exact_for(sample.platform, sample.model) is None]
    cases = cases_of(fitted)
    results = held_out(cases)
    widths = Widths.measured(results, strangers(cases))
    fit = Fit(cases).run()
    return {
        "date": date,
        "source": f"{len(fitted)} recorded requests of {len({case.family for case in cases})} families",
        "vocabulary": "o200k_base",
        "measured": _measured(results),
        "rows": rows_of(fit),
        "scales": widths.steps() | plain_steps(openai_errors(everything)),
    }


def _measured(results: Sequence[tuple[Case, float]]) -> dict[str, dict[str, float]]:
    """Median and 90th percentile of the held-out error per family: tokens below 1,000, shares from there on."""
    families: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for case, expected in results:
        families[case.family].append((abs(expected - case.y), case.y))
    return {name: _quantiles(found) for name, found in sorted(families.items())}


def _quantiles(found: Sequence[tuple[float, float]]) -> dict[str, float]:
    small = [error for error, total in found if total < 1000]
    large = [error / total for error, total in found if total >= 1000]
    figures: dict[str, float] = {"n": len(found)}
    if small:
        figures |= {"tokens50": round(float(np.median(small)), 1), "tokens90": round(float(np.quantile(small, 0.9)), 1)}
    if large:
        figures |= {"share50": round(float(np.median(large)), 4), "share90": round(float(np.quantile(large, 0.9)), 4)}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds exchanges/ (default: %(default)s)")
    parser.add_argument("--date", required=True, help="date of the fit, written into the table")
    parser.add_argument("--out", type=Path, default=TABLE, help="where the table is written (default: %(default)s)")
    options = parser.parse_args()
    table = build(options.data, options.date)
    options.out.write_text(_text(table), encoding="utf-8")
    print(f"{options.out}: {len(table['rows'])} rows, {options.out.stat().st_size} bytes; {table['source']}")


def _text(table: Mapping[str, Any]) -> str:
    """JSON with one row a line, so that a new fit shows what changed."""
    lines = []
    for key, value in table.items():
        if key in ("rows", "scales", "measured"):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
