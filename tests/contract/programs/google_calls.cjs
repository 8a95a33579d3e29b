// What a Node program asks of Google's SDK; prints what it got.
const { GoogleGenAI } = require("@google/genai");

const ask = { model: "gemini-2.5-pro", contents: "What is 2 + 2?" };

async function main() {
  const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
  const told = { create: (await client.models.generateContent(ask)).text, stream: [] };
  for await (const chunk of await client.models.generateContentStream(ask)) told.stream.push(chunk.text);
  console.log(JSON.stringify(told));
}

main();
