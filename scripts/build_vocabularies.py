"""Write the vocabularies of ``ctxkit/metering/data`` from OpenAI's own ``.tiktoken`` files.

    python scripts/build_vocabularies.py FOLDER

``FOLDER`` holds the original files under their own name (``o200k_base.tiktoken``) or under the name of tiktoken's cache
(sha1 of the address, as in the wheels of llama-index-core and litellm). Each is taken only when its sha256 is the one
that tiktoken expects. The sha256 of what was written is printed and belongs into ``ctxkit/metering/vocabularies.py``.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

from ctxkit.metering.vocabularies import VOCABULARIES, pack

DATA = Path(__file__).resolve().parent.parent / "ctxkit" / "metering" / "data"


def parse(text: bytes) -> dict[bytes, int]:
    """Token and rank of every line (``base64 rank``)."""
    pairs = (line.split() for line in text.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def main(folder: Path) -> int:
    found = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in folder.iterdir() if file.is_file()}
    missing = 0
    for file, source in sorted({(v.file, v.source) for v in VOCABULARIES.values()}):
        name, digest = source
        if digest not in found:
            print(f"{name}: no file in {folder} has sha256 {digest}", file=sys.stderr)
            missing += 1
            continue
        packed = pack(parse(found[digest].read_bytes()))
        (DATA / file).write_bytes(packed)
        print(f"{file}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
