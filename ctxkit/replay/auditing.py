"""What recorded conversations waste, cost, and would have cost.

To send one recording once more and see the bill, use :func:`ctxkit.replay.resending.replayed`::

    replayed(recording, Assumed(model="claude-haiku-4-5", tier="batch"), mode="prune", bench=bench) -> Bill

``Assumed`` (platform, model, ttl, tier, priced_at: each ``None`` for as recorded) stands in :mod:`ctxkit.replay.posing`,
``Bill`` (requests, tokens, fresh, read, written, output, input_pico, output_pico, pico, unpriced, ...) and ``Bench`` (what
replays of one process share: make one, hand it to each) in :mod:`ctxkit.replay.resending`. Modes: ``"raw"`` (well marked),
``"observe"``, ``"cache"``, ``"lossless"``, ``"prune"``.
"""
