"""Recorded requests and conversations."""
