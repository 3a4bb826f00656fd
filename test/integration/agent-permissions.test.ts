import { createAgent, echo } from "@ergon/agents";
import { createNames } from "@ergon/core/engine";
import { expect, test } from "vitest";

import { startTestServer } from "../support/nats-server.ts";

const namespace = "guarded";
const names = createNames(namespace);
/** What an agent listens to; a user for each may listen to all but that, and one to all. */
const needed = [names.agent("echo", "a1"), names.control("a1"), names.recorded("a1", ">"), names.roll, names.ownedAll];
const users = [...needed, "nothing"].map((lacking, index) => ({
  user: `lacks-${index}`,
  password: "p",
  permissions: { publish: [">"], subscribe: ["_INBOX.>", ...needed.filter((subject) => subject !== lacking)] },
}));

test("an agent that may not listen to one of its subjects does not start, and says which", async () => {
  const server = await startTestServer({ configuration: { authorization: { users } } });
  const outcomes = await Promise.all(
    users.map(async ({ user }) => {
      const nats = { servers: server.url.replace("nats://", `nats://${user}:p@`) };
      const agent = createAgent({ nats, namespace, id: "a1", signals: [], drivers: [echo()] });
      const outcome = await agent.start().catch((error: unknown) => error);
      await agent.stop();
      return outcome;
    }),
  );
  await server.stop();

  expect(outcomes).toMatchObject([
    ...needed.map((subject) => ({
      code: "NOT_PERMITTED",
      kind: "invalid",
      message: expect.stringContaining(`subscribe to ${subject}:`) as string,
    })),
    undefined,
  ]);
});
