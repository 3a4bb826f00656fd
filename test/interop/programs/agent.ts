// An agent of Ergon that knows NATS and nothing else.
import { connect } from "nats";

const nats = await connect({ servers: process.env["NATS_URL"] ?? "" });
const work = nats.subscribe("ergon.interop.agent.shout", { queue: "ergon" });
await nats.flush();
process.stdout.write("ready\n");
for await (const task of work) task.respond(Buffer.from(task.string().toUpperCase()));
