"""The formats of OpenAI: chat and responses, and the two that are only metered."""
