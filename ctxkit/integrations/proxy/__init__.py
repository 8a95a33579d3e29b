"""The door of programs that are not to be changed: a proxy on the loopback that meters what passes.

``ctxkit run -- COMMAND`` starts it and leads the SDKs there by the base-URL variables they document. It forwards byte
for byte, to the host the SDK would have spoken to; requests are planned and answers read by the same event hooks as
those of a wrapped client (:mod:`ctxkit.integrations.httpx_hooks`), on the HTTP client that forwards.
"""
