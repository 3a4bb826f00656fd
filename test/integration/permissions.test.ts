import { createNames } from "@ergon/core";
import { expect, test } from "vitest";

import { createLocal } from "../support/cluster-local.ts";
import { startTestServer } from "../support/nats-server.ts";

const namespace = "guarded";
const { root } = createNames(namespace);
const inbox = "_INBOX.>";
/** Whoever connects asks whether the server will do. */
const hello = "$JS.API.INFO";

/** Roles as NATS permissions: what a user may not do, the server refuses (docs/protocol.md, "Roles"). */
const users = [
  { user: "node", password: "n" },
  {
    user: "reader",
    password: "r",
    permissions: {
      publish: [hello, `${root}.get.*`, `${root}.wait.*`, `${root}.cluster.*`],
      subscribe: [inbox, `${root}.owned.*`],
    },
  },
  {
    user: "writer",
    password: "w",
    permissions: {
      publish: [hello, `${root}.submit.work`, `${root}.get.*`, `${root}.wait.*`],
      subscribe: [inbox, `${root}.owned.*`],
    },
  },
  {
    user: "agent",
    password: "a",
    permissions: {
      publish: [hello, `${root}.presence`, `${root}.shard.*.reply.>`, `${root}.node.*.credit`, inbox],
      subscribe: [
        inbox,
        `${root}.agent.work.>`,
        `${root}.control.*`,
        `${root}.recorded.>`,
        `${root}.owned.*`,
        `${root}.roll`,
      ],
    },
  },
];

test("a caller without the role is refused, and those with theirs can do their part (M-23)", async () => {
  const server = await startTestServer({ configuration: { authorization: { users } } });
  const as = (user: string): string => server.url.replace("nats://", `nats://${user}:${user.slice(0, 1)}@`);
  const { local, stop } = createLocal(as("node"), namespace);
  const agents = createLocal(as("agent"), namespace);
  await local.node();
  await agents.local.agent({ driver: "work", handler: ({ payload }) => payload });
  const client = (user: string) => local.client({ timeoutMs: 500, nats: { servers: as(user) } });
  const [reader, writer, worker] = [await client("reader"), await client("writer"), await client("agent")];

  const done = await writer.submit({ driver: "work", id: "mine", text: "x" });
  expect((await done.response()).text()).toBe("x");
  expect(await reader.get("mine")).toMatchObject({ status: "succeeded" });
  const refused = await Promise.all(
    [
      reader.submit({ driver: "work" }),
      reader.cancel("mine"),
      writer.submit({ driver: "other" }),
      writer.cancel("mine"),
      worker.submit({ driver: "work" }),
      worker.end("mine"),
    ].map((call: Promise<unknown>) => call.catch((error: unknown) => error)),
  );
  const stranger = await local.client({ nats: { servers: as("nobody") } }).catch((error: unknown) => error);

  expect(refused).toMatchObject(refused.map(() => ({ code: "NOT_PERMITTED", kind: "invalid" })));
  expect(stranger).toMatchObject({ code: "NOT_PERMITTED" });
  expect((await reader.list({ all: true })).tasks.map(({ id }) => id)).toEqual(["mine"]);
  await agents.stop();
  await stop();
  await server.stop();
});
