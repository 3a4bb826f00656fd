// A NATS micro service that has never heard of Ergon.
import { Svcm } from "@nats-io/services";
import { connect } from "nats";

const nats = await connect({ servers: process.env["NATS_URL"] ?? "" });
const service = await new Svcm(nats as never).add({ name: "divider", version: "1.0.0" });
service.addEndpoint("divide", {
  subject: "math.divide",
  handler: (error, request) => {
    if (error !== null) return;
    const { dividend, divisor } = request.json<{ dividend: number; divisor: number }>();
    if (divisor === 0) request.respondError(400, "nothing can be divided by zero");
    else request.respond(JSON.stringify(dividend / divisor));
  },
});
await nats.flush();
process.stdout.write("ready\n");
