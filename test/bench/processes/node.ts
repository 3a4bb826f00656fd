// A node as its own process: `node.ts <url> <options as JSON>`. Answers "usage" over IPC with its CPU and memory.
import { createNode } from "@ergon/node";

import { serveUsage } from "./usage.ts";

const [url = "", options = "{}"] = process.argv.slice(2);
const node = await createNode({ nats: { servers: url }, log: { level: "warn" }, ...(JSON.parse(options) as object) });
await node.ready;
serveUsage(() => node.stop());
process.send?.({ ready: true, id: node.id });
