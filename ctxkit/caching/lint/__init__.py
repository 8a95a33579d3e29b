"""What will break a provider's cache, or never reach it, found in requests before anybody pays for it."""

from ctxkit.caching.lint.checking import RULES, check
from ctxkit.caching.lint.finding import Finding, Seen

__all__ = ["RULES", "Finding", "Seen", "check"]
