// A client and an agent. Usually they are two processes; this example puts them into one.
//
//   ./ergon dev
//   node scripts/bootstrap.mjs examples/hello.ts                 in a second terminal

import { createAgent, TerminalError } from "@ergon/agents";
import { connect } from "@ergon/core";

const nats = { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" };

await using agent = createAgent({
  nats,
  driver: "greet",
  concurrency: 10,
  handler: async (attempt) => {
    const { name } = attempt.json<{ name?: string }>();
    if (name === undefined) throw new TerminalError("NO_NAME", "there is nobody to greet");
    return { greeting: `Hello, ${name}!` };
  },
});
await agent.start();

const client = await connect({ nats });
const task = await client.submit({ driver: "greet", payload: { name: "world" }, attemptTimeout: "5s" });
console.log((await task.response()).json());
await client.close();
