"""Answers kept for the very same request: the key of a request, the shelf that answers stand on, requests under way."""
