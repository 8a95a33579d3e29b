"""Use the installed wheel as a program would, with no network and no SDK: plan, settle, report."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import ctxkit

root = pathlib.Path(__file__).parent.parent
assert root not in pathlib.Path(ctxkit.__file__).parents, f"not the installed package: {ctxkit.__file__}"


def refuse(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("network used")


socket.socket.connect = refuse  # type: ignore[method-assign]

folder = pathlib.Path(os.environ["CTXKIT_HOME"])
kit = ctxkit.Kit(store=folder / "smoke", ledger=folder / "smoke.db", strict=True)
body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
with ctxkit.feature("smoke"):
    plan = kit.plan(body, dialect="openai.chat", platform="openai")
assert plan.estimate is not None
assert plan.estimate.method == "exact", plan.estimate
usage = {"prompt_tokens": 13, "completion_tokens": 5, "total_tokens": 18}
record = kit.settle(plan, {"id": "x", "model": "gpt-4o", "choices": [{"finish_reason": "stop"}], "usage": usage})
assert record.status == "settled", record
assert record.cost is not None, record
kit.close()


def command(*words: str) -> str:
    """What a command prints; 1 is a finding."""
    ctxkit = str(pathlib.Path(sys.executable).parent / "ctxkit")
    done = subprocess.run([ctxkit, *words], check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


ledger, page = str(folder / "smoke.db"), folder / "smoke.html"
shown = command("report", "--json", "--ledger", ledger)
assert json.loads(shown)["rows"][0]["feature"] == "smoke", shown
command("report", "--html", str(page), "--ledger", ledger)
assert "<svg" in page.read_text(encoding="utf-8"), "no chart on the page of the report"
assert json.loads(command("whatif", "--json", "--model", "gpt-4o-mini", "--ledger", ledger))["alternatives"]
talk = folder / "talk.json"
talk.write_text(json.dumps({"messages": [*body["messages"], {"role": "assistant", "content": "Fine."}]}))
audited = command("audit", str(talk), "--model", "gpt-4o", "--json", "--html", str(page))
assert json.loads(audited)["requests"] == 1, audited
assert "<svg" in page.read_text(encoding="utf-8"), "no chart on the page of the audit"
print("the installed wheel works:", ctxkit.__version__, plan.estimate.input_tokens, "tokens,", record.cost, "USD")
