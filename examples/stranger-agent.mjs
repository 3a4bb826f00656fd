// An agent without the SDK: whoever answers requests on a driver's subject. Here the classic "nats" package.
import { connect } from "nats";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
console.log("serving driver upcase");
for await (const attempt of nc.subscribe("ergon.default.agent.upcase", { queue: "upcase" })) {
  attempt.respond(attempt.string().toUpperCase());
}
