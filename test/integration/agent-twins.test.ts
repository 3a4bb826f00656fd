import { expect } from "vitest";

import { test } from "../support/cluster-local.ts";
import { startErgon } from "../support/ergon-process.ts";
import { eventually } from "../support/eventually.ts";

test(
  "the older one of two agents with one id ends with exit code 5 and the reason, and the newer one continues",
  { timeout: 60_000 },
  async ({ local }) => {
    await local.node();
    const client = await local.client();
    const start = () =>
      startErgon(["agent", "--driver", "echo", "--id", "twin", "--nats", local.url, "--namespace", local.namespace]);
    const older = start();
    await older.ready;
    const younger = start();
    await younger.ready;

    const { code, err } = await older.ended;
    expect(code).toBe(5);
    expect(err).toContain("another agent with the id twin was started later");
    await eventually("the twin shown", async () => (await client.agents())[0]?.twin !== undefined);
    expect((await client.agents())[0]).toMatchObject({ pid: younger.child.pid, twin: { pid: older.child.pid } });
    expect((await client.run({ driver: "echo", text: "still here" })).text()).toBe("still here");

    younger.kill("SIGTERM");
    expect((await younger.ended).code).toBe(0);
  },
);
