"""How providers cache, as data: dated and sourced rows, one per provider, platform and model family."""

from ctxkit.caching.rules.rule import Claim, Match, Rule

__all__ = ["Claim", "Match", "Rule"]
