"""Values that only the holder of a key can read: AES-256-GCM.

The one door to ``cryptography``, which the extra ``ctxkit[encryption]`` brings.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from ctxkit.errors import ConfigurationError, StoreError

__all__ = ["Seal"]

_KEY_SIZE = 32
_NONCE_SIZE = 12  # what GCM is made for; drawn at random, good for 2**32 values under one key
_MAKE = 'python -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'


class Seal:
    """Seals and opens values with one key.

    Args:
        key: 32 random bytes in Base64, either alphabet.
        option: of the policy, that the key is from.

    Raises:
        ConfigurationError: the key is of another form, or the extra is not installed. The key is not repeated.
    """

    def __init__(self, key: str, option: str = "recall_key") -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ConfigurationError(f"{option} needs an extra: pip install 'ctxkit[encryption]'") from None
        self._cipher: Any = AESGCM(_bytes_of(key, option))

    def sealed(self, text: bytes, name: bytes) -> bytes:
        """``text`` so that only this key opens it, and only under this name."""
        nonce = os.urandom(_NONCE_SIZE)
        found: bytes = nonce + self._cipher.encrypt(nonce, text, name)
        return found

    def opened(self, value: bytes, name: bytes) -> bytes:
        """What was sealed.

        Raises:
            StoreError: with another key or name, or it was changed.
        """
        from cryptography.exceptions import InvalidTag

        try:
            found: bytes = self._cipher.decrypt(value[:_NONCE_SIZE], value[_NONCE_SIZE:], name)
        except (InvalidTag, ValueError):
            raise StoreError("what was kept cannot be opened: it was sealed with another key, or changed") from None
        return found


def _bytes_of(key: str, option: str) -> bytes:
    try:
        found = base64.b64decode(key.strip().replace("-", "+").replace("_", "/").encode(), validate=True)
    except ValueError:
        found = b""
    if len(found) != _KEY_SIZE:
        raise ConfigurationError(f"{option} wants {_KEY_SIZE} random bytes in Base64; make one: {_MAKE}")
    return found
