"""Bedrock through boto3: converse, converse_stream and invoke_model.

Environment: what boto3 reads (AWS_REGION, AWS_ACCESS_KEY_ID, ...).
"""

import json

import boto3

import ctxkit
from ctxkit import feature

client = ctxkit.wrap(boto3.client("bedrock-runtime"))
claude = "anthropic.claude-sonnet-4-5-20250929-v1:0"
messages = [{"role": "user", "content": [{"text": "Name three rivers."}]}]

with feature("geography"):
    response = client.converse(modelId=claude, messages=messages)
    print(response["output"]["message"]["content"][0]["text"])

    for event in client.converse_stream(modelId=claude, messages=messages)["stream"]:
        if "contentBlockDelta" in event:
            print(event["contentBlockDelta"]["delta"].get("text", ""), end="", flush=True)
    print()

with feature("titles"):
    body = {"schemaVersion": "messages-v1", "messages": messages}
    answer = client.invoke_model(modelId="amazon.nova-lite-v1:0", body=json.dumps(body))
    print(json.load(answer["body"])["output"]["message"]["content"][0]["text"])

print(ctxkit.default_kit().report(by=("feature", "model")))
client.close()
