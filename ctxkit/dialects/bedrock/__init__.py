"""The formats of Amazon Bedrock: converse, and invoke, whose bodies are each model family's own."""
