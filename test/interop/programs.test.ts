import { expect } from "vitest";

import { createLocal, type Local } from "../support/cluster-local.ts";
import { test as base } from "../support/nats-fixtures.ts";
import { runProgram, type Program } from "../support/processes.ts";

const test = base.extend<{ local: Local; run: (name: string) => Program }>({
  local: async ({ server }, use) => {
    const { local, stop } = createLocal(server.url, "interop");
    await use(local);
    await stop();
  },
  run: async ({ server }, use) => {
    const programs: Program[] = [];
    await use((name) => {
      const program = runProgram(`test/interop/programs/${name}.ts`, { NATS_URL: server.url });
      programs.push(program);
      return program;
    });
    for (const program of programs) await program.kill();
  },
});

test("ten lines on the classic nats package are a client, and ten others an agent", async ({ local, run }) => {
  await local.node();
  const agent = run("agent");
  await agent.writes("ready");

  const client = run("client");

  expect({ code: await client.ended, output: client.output(), errors: client.errors() }).toEqual({
    code: 0,
    output: "HELLO",
    errors: "",
  });
});

test("a task waits for the stranger's agent to come, and says so (M-14)", async ({ local, run }) => {
  await local.node();
  const client = await local.client();
  const task = await client.submit({ driver: "shout", text: "later" });
  await client.wait(task.id, { timeoutMs: 200 });
  expect(await client.get(task.id)).toMatchObject({
    status: "scheduled",
    reason: "no agent serves driver shout",
    attempt: 1,
  });

  await run("agent").writes("ready");

  expect((await task.response()).text()).toBe("LATER");
});

test("a micro service written with @nats-io/services is an agent, unchanged", async ({ local, run }) => {
  await local.node({ drivers: { divide: { subject: "math.divide" } } });
  const client = await local.client();
  await run("service").writes("ready");

  const quotient = await client.run({ driver: "divide", payload: { dividend: 84, divisor: 2 } });
  const failing = await client.submit({
    driver: "divide",
    payload: { dividend: 1, divisor: 0 },
    retry: { maxAttempts: 2, initial: 0 },
  });

  expect(quotient.text()).toBe("42");
  expect(await client.wait(failing.id)).toMatchObject({
    status: "failed",
    failures: 2,
    failure: { code: "AGENT_FAILED", message: "nothing can be divided by zero" },
  });
});
