// A client without the SDK: any NATS client can submit a task and wait for it. This program uses the classic "nats" package.
// The comment in stranger-agent.mjs says how to run it.

import { connect, headers } from "nats";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
const options = headers();
options.set("Ergon-Id", `greeting-${Date.now()}`); // The same id again is the same task.
options.set("Ergon-Wait", "30s");
options.set("Ergon-Answer", "response");
const reply = await nc.request("ergon.default.submit.upcase", "hello", { headers: options, timeout: 35_000 });
console.log(reply.headers.get("Nats-Service-Error") || reply.string());
await nc.drain();
