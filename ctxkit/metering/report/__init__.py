"""The report: what each feature, model, day, ... asked for, what it cost, how well that was known before, how fast.

What is not known is ``None`` here, is left empty in tables, and never counts as 0. A sum with parts whose price is
unknown is a lower bound and says so (``unpriced``).
"""

from __future__ import annotations

from ctxkit.metering.report.asking import DIMENSIONS, report
from ctxkit.metering.report.found import Report
from ctxkit.metering.report.row import LATENCIES, QUANTILES, Row

__all__ = ["DIMENSIONS", "LATENCIES", "QUANTILES", "Report", "Row", "report"]
