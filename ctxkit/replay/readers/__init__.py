"""Readers of recordings: one file per format, each making :class:`ctxkit.replay.recording.Recording` of what it finds."""
