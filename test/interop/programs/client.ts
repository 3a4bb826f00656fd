// A client of Ergon that knows NATS and nothing else.
import { connect, headers } from "nats";

const nats = await connect({ servers: process.env["NATS_URL"] ?? "" });
const options = headers();
options.set("Ergon-Wait", "5s");
options.set("Ergon-Answer", "response");
const reply = await nats.request("ergon.interop.submit.shout", Buffer.from("hello"), {
  headers: options,
  timeout: 6_000,
});
process.stdout.write(reply.string());
await nats.close();
