// An agent without the SDK: whoever answers requests on a driver's subject. Here the classic "nats" package.
//
//   ./ergon dev
//   node scripts/bootstrap.mjs examples/stranger-agent.mjs       elsewhere
//   node scripts/bootstrap.mjs examples/stranger-client.mjs      elsewhere

import { connect } from "nats";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
console.log("serving driver upcase");
for await (const attempt of nc.subscribe("ergon.default.agent.upcase", { queue: "upcase" })) {
  attempt.respond(attempt.string().toUpperCase());
}
