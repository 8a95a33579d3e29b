"""Tidying a conversation: what arrives is made smaller before it is sent for the first time, what is over may go later.

A pass is a callable that proposes; it knows neither prices nor wires. Arrival passes (``compact``, ``repeats``, ``deltas``)
look at one new piece and what precedes it; deferred ones (``stale``, ``spent``, ``episodes``, ``fit``) at a whole
:class:`~ctxkit.hygiene.history.History`. The hall prices what they propose and decides.
"""
