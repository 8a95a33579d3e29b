// How calls of each Node SDK fail at each of the upstreams that *_UPSTREAM name: prints the error's class and status.
const OpenAI = require("openai");
const { Anthropic } = require("@anthropic-ai/sdk");
const { GoogleGenAI } = require("@google/genai");

const messages = [{ role: "user", content: "What is 2 + 2?" }];

async function tried(call) {
  try {
    const answer = await call();
    if (answer && answer[Symbol.asyncIterator]) for await (const _ of answer);
    return "answered";
  } catch (error) {
    return `${error.constructor.name} ${error.status ?? ""}`.trim();
  }
}

async function allCalls(url) {
  const openai = new OpenAI({ baseURL: `${url}/v1`, maxRetries: 1, timeout: 8000 });
  const anthropic = new Anthropic({ baseURL: url, maxRetries: 1, timeout: 8000 });
  const retryOptions = { attempts: 1 };
  const gemini = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: url, timeout: 8000, retryOptions } });
  const calls = {
    chat: () => openai.chat.completions.create({ model: "gpt-4o", messages }),
    stream: () => openai.chat.completions.create({ model: "gpt-4o", messages, stream: true }),
    messages: () => anthropic.messages.create({ model: "claude-sonnet-4-6", max_tokens: 9, messages }),
    gemini: () => gemini.models.generateContent({ model: "gemini-2.5-pro", contents: "2 + 2?" }),
  };
  const told = await Promise.all(Object.values(calls).map(tried)); // at once: some take as long as they may
  return Object.fromEntries(Object.keys(calls).map((name, index) => [name, told[index]]));
}

async function main() {
  const names = Object.keys(process.env).filter((name) => name.endsWith("_UPSTREAM"));
  const told = await Promise.all(names.map((name) => allCalls(process.env[name])));
  console.log(JSON.stringify(Object.fromEntries(names.map((name, index) => [name, told[index]]))));
}

main();
