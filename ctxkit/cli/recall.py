"""``ctxkit recall``: a text that was removed from a conversation, where the policy keeps such texts on disk."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from ctxkit.hall.recall import Recall

__all__ = ["add_parser", "run"]

_EXAMPLE = """example:
  ctxkit recall r_abcdefgh23456789 --thread 5d41402abc4b2a76b9719d911017c592

References stand in plan.tidied.refs, and in the lines that stand where something was removed, where the model may ask
for it. Threads stand in plan.thread and record.thread. Texts are on disk with Policy(tidy={"recall": "disk"}) only; a
key is taken from CTXKIT_RECALL_KEY.

exit code 1 when the thread has no such text, or none any more, 2 when nothing is kept there or it cannot be read"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "recall",
        help="a text that was removed from a conversation",
        description="A text that was removed from a conversation, within its thread, for as long as the policy keeps "
        "it on disk.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ref", metavar="REF", help="reference of the text: r_ and 16 letters or digits")
    parser.add_argument("--thread", required=True, metavar="ID", help="the conversation that it was removed from")
    parser.add_argument("--store", metavar="FOLDER", help="of the kit; default: store in $CTXKIT_HOME or ~/.ctxkit")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the text; 0, 1 when there is none, or 2 when there is no such store."""
    from ctxkit.defaults import home

    folder = Path(args.store).expanduser() if args.store else home() / "store"
    recall = _opened(folder)
    if recall is None:
        print(
            f'ctxkit recall: no texts are kept in {folder}; that takes Policy(tidy={{"recall": "disk"}})',
            file=sys.stderr,
        )
        return 2
    text = recall.find(args.ref, args.thread)
    if text is None:
        print(f"ctxkit recall: {recall.missing(args.ref)}", file=sys.stderr)
        return 1
    print(json.dumps({"ref": args.ref, "thread": args.thread, "text": text}) if args.json else text)
    return 0


def _opened(folder: Path) -> Recall | None:
    """What was kept in a folder; ``None``: nothing ever was, and nothing is made."""
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.faults import Faults
    from ctxkit.hall.keeping import texts_kept
    from ctxkit.hall.recall import Recall
    from ctxkit.policy import Policy
    from ctxkit.stores.disk import DiskStore

    if not (folder / "cache.db").is_file() or not (folder / "recall" / "cache.db").is_file():
        return None
    store = DiskStore(folder)
    salt = store.get(b"salt")
    store.close()
    if salt is None:
        return None
    found = Policy.load()
    policy = found.model_copy(update={"tidy": found.tidy.model_copy(update={"recall": "disk"})})
    return Recall(policy, Hasher(salt), time.time, Faults(), texts_kept(policy, folder))
