// A no-op agent as its own process: `agent.ts <url> <concurrency> [workMs]`. Answers with its payload.
import { createAgent } from "@ergon/agents";
import { createSystemClock } from "@ergon/core";
import { delay } from "@ergon/core/engine";

import { serveUsage } from "./usage.ts";

const [url = "", concurrency = "5000", workMs = "0"] = process.argv.slice(2);
const clock = createSystemClock();
const agent = createAgent({
  nats: { servers: url },
  driver: "bench",
  concurrency: Number(concurrency),
  handler: async ({ payload }) => {
    if (workMs !== "0") await delay(clock, Number(workMs));
    return payload;
  },
});
await agent.start();
serveUsage(() => agent.stop());
process.send?.({ ready: true, id: agent.id });
