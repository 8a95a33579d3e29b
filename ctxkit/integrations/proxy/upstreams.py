"""Where an SDK would send its requests, and the variables that lead it to the proxy instead.

A variable keeps the path of the URL it stands for: only scheme, host and port are replaced, by those of the proxy and
two more steps of the path. So whatever a program makes of its base URL, the upstream gets the path it would have got.

What SDKs read (2026-11): openai 3.52 and openai-node ``OPENAI_BASE_URL``, before version 1 and in LangChain
``OPENAI_API_BASE``; anthropic 2.11, its Node SDK and Claude Code ``ANTHROPIC_BASE_URL``; google-genai 3.4 and
@google/genai ``GOOGLE_GEMINI_BASE_URL``. All others are only replaced where they are set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ctxkit.dialects.platforms import UNKNOWN, platform_of
from ctxkit.errors import ConfigurationError
from ctxkit.integrations.nesting import RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Upstream", "blind_spots", "environment", "upstreams"]

LOOPBACK = "127.0.0.1"


class Family(NamedTuple):
    """Variables that lead to one provider.

    Attributes:
        name: of it on the command line and in the proxy's path.
        platform: who serves it, where the host does not say.
        variables: set when none of them is set already.
        default: where its SDKs go without them; ``None``: nowhere that is known.
        others: replaced where they are set.
    """

    name: str
    platform: str
    variables: tuple[str, ...] = ()
    default: str | None = None
    others: tuple[str, ...] = ()


FAMILIES = (
    Family(
        "openai",
        UNKNOWN.name,  # whoever speaks its format
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        "https://api.openai.com/v1",
    ),
    Family("anthropic", "anthropic", ("ANTHROPIC_BASE_URL",), "https://api.anthropic.com", ("ANTHROPIC_API_BASE",)),
    Family("gemini", "google", ("GOOGLE_GEMINI_BASE_URL",), "https://generativelanguage.googleapis.com"),
    Family("azure", "azure", others=("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE", "ANTHROPIC_FOUNDRY_BASE_URL")),
    Family("vertex", "vertex", others=("GOOGLE_VERTEX_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL")),
    Family("groq", "groq", others=("GROQ_BASE_URL", "GROQ_API_BASE")),
    Family("together", "together", others=("TOGETHER_BASE_URL",)),
    Family("cerebras", "cerebras", others=("CEREBRAS_BASE_URL",)),
    Family("openrouter", "openrouter", others=("OPENROUTER_API_BASE", "OPENROUTER_BASE_URL")),
    Family("mistral", "mistral", others=("MISTRAL_API_BASE",)),
    Family("deepseek", "deepseek", others=("DEEPSEEK_API_BASE",)),
    Family("xai", "xai", others=("XAI_API_BASE",)),
    Family("vllm", "vllm", others=("HOSTED_VLLM_API_BASE",)),
    Family("litellm", UNKNOWN.name, others=("LITELLM_PROXY_API_BASE",)),
)
"""Sources: the SDKs themselves, and LiteLLM 1.106 for the names that end with ``_API_BASE``."""

_AZURE = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "OPENAI_API_VERSION")
"""Where one of these is set, ``OPENAI_BASE_URL`` is not set unasked: openai-node's ``AzureOpenAI`` would take it for its
own, and refuse an ``endpoint`` beside it."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One host that the proxy forwards to.

    Attributes:
        name: the step of the proxy's path that leads there.
        variables: what leads a program there.
        url: what they would have said, without a slash at its end.
        platform: who serves it, where the host does not say.
    """

    name: str
    variables: tuple[str, ...]
    url: str
    platform: str

    @property
    def origin(self) -> str:
        """Scheme, host and port (and user, if there is one)."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """The rest of it."""
        return urlsplit(self.url).path

    @property
    def host(self) -> str:
        """Host and port, as they are to be shown."""
        return self.origin.partition("://")[2].rpartition("@")[2]

    @property
    def served_by(self) -> str:
        """Name of the platform: the host's own, or what is said of it."""
        known = platform_of(urlsplit(self.url).hostname or "")
        return self.platform if known is UNKNOWN else known.name

    @property
    def stranger(self) -> bool:
        """Nobody knows who serves it."""
        return self.served_by == UNKNOWN.name


def upstreams(
    environ: Mapping[str, str], overrides: Mapping[str, str] | None = None, platforms: Mapping[str, str] | None = None
) -> tuple[Upstream, ...]:
    """The upstreams of a program with this environment.

    Args:
        environ: what the user has set wins over what SDKs take by default.
        overrides: URL by the name of a family (``"openai"``) or of any variable; wins over both.
        platforms: who serves them, by the same names.

    Raises:
        ConfigurationError: a URL that is none, or a name nobody knows.
    """
    wanted, named = dict(overrides or {}), dict(platforms or {})
    found: list[Upstream] = []
    for family in FAMILIES:
        platform = named.pop(family.name, family.platform)
        for variable, url in _urls(family, environ, wanted).items():
            _add(found, family.name, variable, url, named.pop(variable, platform))
    for variable, url in wanted.items():
        if not variable.isupper():
            families = ", ".join(family.name for family in FAMILIES if family.variables)
            raise ConfigurationError(
                f"no upstream is called {variable!r}: there are {families}, and names of variables"
            )
        _add(found, variable.lower(), variable, _checked(variable, url), named.pop(variable, UNKNOWN.name))
    if named:
        raise ConfigurationError(f"nothing leads to {', '.join(sorted(named))}: name an upstream that is set")
    return tuple(found)


def _urls(family: Family, environ: Mapping[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """What the variables of a family say; those that ``wanted`` names are taken out of it."""
    asked = wanted.pop(family.name, None)
    if asked is not None:
        url = _checked(family.name, asked)
        return dict.fromkeys(family.variables or family.others, url)
    known = (*family.variables, *family.others)
    found = {name: _checked(name, wanted.pop(name)) for name in known if name in wanted}
    found |= {name: environ[name] for name in known if name not in found and _is_ours(name, environ.get(name, ""))}
    untouched = not any(environ.get(name, "").strip() for name in family.variables) and not found.keys() & {
        *family.variables
    }
    if family.default and untouched and not (family.name == "openai" and azure(environ)):
        found |= dict.fromkeys(family.variables, family.default)
    return found


def azure(environ: Mapping[str, str]) -> bool:
    """The program may speak to Azure OpenAI."""
    return any(environ.get(name) for name in _AZURE)


def _is_ours(name: str, url: str) -> bool:
    """Whether a variable holds a URL that may be replaced.

    google-genai takes the project for a part of its host where that is Google's own, and not elsewhere.
    """
    parts = urlsplit(url.strip())
    if name == "GOOGLE_VERTEX_BASE_URL" and (parts.hostname or "").endswith(".googleapis.com"):
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _checked(name: str, url: str) -> str:
    if not _is_ours("", url):
        raise ConfigurationError(f"{name}: {url!r:.80} is no URL; it begins with http:// or https://")
    return url


def _add(found: list[Upstream], name: str, variable: str, url: str, platform: str) -> None:
    """Add a variable to the upstream that it leads to, or an upstream of its own."""
    url = url.strip().rstrip("/")
    for place, other in enumerate(found):
        if other.url == url and other.platform == platform:
            found[place] = Upstream(other.name, (*other.variables, variable), url, platform)
            return
    taken = {other.name for other in found}
    found.append(Upstream(variable.lower() if name in taken else name, (variable,), url, platform))


def environment(environ: Mapping[str, str], found: Iterable[Upstream], base: str) -> dict[str, str]:
    """The environment of a program that is to be metered.

    Args:
        environ: of whoever starts it.
        found: see :func:`upstreams`.
        base: of the proxy, secret included.
    """
    ours = {name: f"{base}/{one.name}{one.path}" for one in found for name in one.variables}
    return {**environ, **ours, **_past_proxies(environ), RUN: "1"}


def _past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Keep the program's own HTTP proxy, where it has one, out of the way to the loopback."""
    names = {name.lower() for name, value in environ.items() if value}
    if not names & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}  # without one, the mere presence of NO_PROXY would switch off the proxies of macOS
    said = {name: environ.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    either = said["no_proxy"] or said["NO_PROXY"]
    return {name: ",".join(filter(None, [value or either, LOOPBACK])) for name, value in said.items()}


def blind_spots(environ: Mapping[str, str], found: Iterable[Upstream]) -> list[str]:
    """What such a program may ask that does not come by here, in sentences."""
    spots = []
    if environ.get(RUN):
        spots.append("this ran inside another `ctxkit run`, which counted the same requests")
    if any(environ.get(name) for name in _BEDROCK):
        spots.append(
            "AWS variables are set: what went to Amazon Bedrock is not in this report. It is signed for its host, so it "
            "cannot pass a proxy; wrap the client instead (ctxkit.wrap)"
        )
    if any(environ.get(name) for name in _VERTEX) and not any("VERTEX" in v for one in found for v in one.variables):
        spots.append(
            "Vertex AI is in use: its host depends on the region, so no variable leads it here; it is not metered"
        )
    if azure(environ) and not any("OPENAI_BASE_URL" in one.variables for one in found):
        spots.append(
            "Azure OpenAI is in use: OPENAI_BASE_URL was left alone, which its Node SDK would take for Azure's; "
            "--upstream openai=https://api.openai.com/v1 meters api.openai.com as well"
        )
    return spots


_BEDROCK = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "CLAUDE_CODE_USE_BEDROCK",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
)
_VERTEX = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE", "CLAUDE_CODE_USE_VERTEX")
