// An agent without the SDK: any program that answers requests on a driver's subject is one. This program uses the classic "nats" package.
//
//   ./ergon dev
//   node scripts/bootstrap.mjs examples/stranger-agent.mjs       in a second terminal
//   node scripts/bootstrap.mjs examples/stranger-client.mjs      in a third terminal

import { connect } from "nats";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
console.log("serving driver upcase");
for await (const attempt of nc.subscribe("ergon.default.agent.upcase", { queue: "upcase" })) {
  attempt.respond(attempt.string().toUpperCase());
}
