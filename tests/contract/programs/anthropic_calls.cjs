// What a Node program asks of Anthropic's SDK; prints what it got.
const { Anthropic } = require("@anthropic-ai/sdk");

const ask = { model: "claude-sonnet-4-6", max_tokens: 50, messages: [{ role: "user", content: "What is 2 + 2?" }] };

async function main() {
  const client = new Anthropic();
  const told = { create: await client.messages.create(ask), events: [] };
  for await (const event of await client.messages.create({ ...ask, stream: true })) told.events.push(event);
  told.stream = await client.messages.stream(ask).finalMessage();
  console.log(JSON.stringify(told));
}

main();
