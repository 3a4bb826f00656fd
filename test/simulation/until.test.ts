// What a request with `Ergon-Until` waits for, and what its reply says of it.
import { defineMachine, type Message } from "@ergon/core";
import { H, JSON_TYPE, decodeError } from "@ergon/core/engine";
import { expect, test } from "vitest";
import { createMachine } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const door = defineMachine(
  createMachine({
    id: "door",
    initial: "shut",
    states: {
      shut: { on: { OPEN: "ajar" } },
      ajar: {
        initial: "a",
        states: { a: { on: { PUSH: "b" } }, b: {}, back: { type: "history" } },
        on: { CLOSE: "shut" },
      },
    },
  }),
);

async function stage(): Promise<{
  readonly cluster: MemoryCluster;
  readonly ask: (subject: string, body: unknown, headers: Record<string, string>) => Promise<Message>;
}> {
  const cluster = createMemoryCluster({ machines: [door] });
  await cluster.addNodes("n1", "n2");
  const { bus } = cluster.connect("stranger");
  return {
    cluster,
    ask: (subject, body, headers) =>
      cluster.drive(
        bus.request(subject, Buffer.from(JSON.stringify(body)), {
          headers: { [H.contentType]: JSON_TYPE, ...headers },
          timeoutMs: 60_000,
        }),
      ),
  };
}

test("a start and an event that wait for a state that the machine never is in are refused before anything happens", async () => {
  const { cluster, ask } = await stage();
  const { names } = cluster;
  for (const until of ["state:nostate", "state:ajar.back", "tag:red", "state:{ajar.a, nostate}"]) {
    const started = await ask(names.start("door"), null, { [H.id]: "never", [H.until]: until, [H.wait]: "10s" });
    expect(decodeError(started)).toMatchObject({ code: "INVALID_OPTION", issues: [{ field: H.until }] });
  }
  await cluster.drive(cluster.client().start("door", undefined, { id: "d" }));
  const sent = await ask(names.verb("send", "d"), { type: "OPEN" }, { [H.until]: "state:nostate", [H.wait]: "10s" });

  expect(decodeError(sent)).toMatchObject({ code: "INVALID_OPTION", issues: [{ field: H.until }] });
  expect(decodeError(sent)?.message).toContain("it has shut, ajar, ajar.a, ajar.b");
  const { tasks } = await cluster.drive(cluster.client().list({}));
  expect(tasks).toMatchObject([{ id: "d", state: "shut" }]);
});

test("the reply says whether what was waited for has come", async () => {
  const { cluster, ask } = await stage();
  const { names } = cluster;
  await cluster.drive(cluster.client().start("door", undefined, { id: "d" }));
  const send = (type: string, until: string): Promise<Message> =>
    ask(names.verb("send", "d"), { type }, { [H.until]: until, [H.wait]: "1s" });

  expect((await send("OPEN", "state:ajar")).header(H.untilMet)).toBe("true");
  expect((await send("PUSH", "state:shut")).header(H.untilMet)).toBe("false");
  expect((await ask(names.verb("get", "d"), null, {})).header(H.untilMet)).toBeUndefined();
});

test("a task is waited for until it has ended: a state to wait for is refused", async () => {
  const { cluster, ask } = await stage();
  await cluster.drive(cluster.client().submit({ driver: "none", id: "t" }));
  const reply = await ask(cluster.names.verb("wait", "t"), null, { [H.until]: "state:shut", [H.wait]: "1s" });

  expect(decodeError(reply)).toMatchObject({ code: "INVALID_OPTION", issues: [{ field: H.until }] });
});
