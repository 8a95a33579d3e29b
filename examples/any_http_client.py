"""No SDK at all: plan, send it yourself, settle. Any HTTP client, framework or queue can be metered this way.

Environment: OPENAI_API_KEY (and OPENAI_BASE_URL for a compatible server).
"""

import json
import os
import urllib.request

from ctxkit import Kit

kit = Kit()
body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2 + 2?"}]}

plan = kit.plan(body, dialect="openai.chat", platform="openai", feature="sums")
print(f"about {plan.estimate.input_tokens} tokens, at most {plan.estimate.cost.max} USD")

kit.sent(plan)
request = urllib.request.Request(
    os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1") + "/chat/completions",
    data=json.dumps(plan.body).encode(),
    headers={"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
)
with urllib.request.urlopen(request) as response:
    record = kit.settle(plan, json.load(response), status=response.status)

print(f"{record.usage.input_total} tokens in, {record.usage.output} out, {record.cost} USD")
kit.close()
