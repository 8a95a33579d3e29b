// What a Node program asks of OpenAI's SDK; prints what it got.
const OpenAI = require("openai");

const messages = [{ role: "user", content: "What is 2 + 2?" }];

async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

async function main() {
  const client = new OpenAI();
  const told = {};
  told.create = await client.chat.completions.create({ model: "gpt-4o", messages });
  told.stream = await all(
    await client.chat.completions.create({ model: "gpt-4o", messages, stream: true, stream_options: { include_usage: true } }),
  );
  told.responses = (await client.responses.create({ model: "gpt-4o", input: "2 + 2?" })).output_text;
  told.events = (await all(await client.responses.create({ model: "gpt-4o", input: "2 + 2?", stream: true }))).map((e) => e.type);
  told.embeddings = (await client.embeddings.create({ model: "text-embedding-3-small", input: "2", encoding_format: "float" })).data;
  console.log(JSON.stringify(told));
}

main();
