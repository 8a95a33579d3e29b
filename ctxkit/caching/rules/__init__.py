"""How providers cache, as data: dated and sourced rows, one per provider, platform and model family."""

from ctxkit.caching.rules.finding import find, load, mode_of
from ctxkit.caching.rules.names import model_name
from ctxkit.caching.rules.rule import Claim, Match, Rule
from ctxkit.caching.rules.table import Table

__all__ = ["Claim", "Match", "Rule", "Table", "find", "load", "mode_of", "model_name"]
