import { rm } from "node:fs/promises";

import { expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { createLocal } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer } from "../support/nats-server.ts";

test("NATS comes back without its files: nodes say so and take nothing, doctor says what to do, and started again they serve", async () => {
  const server = await startTestServer();
  const { local, stop } = createLocal(server.url, "default");
  const nodes = [await local.node(), await local.node()];
  const client = await local.client({ timeoutMs: 2_000 });
  await client.submit({ driver: "work", id: "lost", text: "x", delay: "1h" });
  const doctor = async (): Promise<string> => (await ergon(["doctor", "--nats", server.url])).out;
  const said = (text: string): number =>
    new Set(
      local.log
        .filter((line) => line.level === "error" && line.text.startsWith(text))
        .map(({ fields }) => fields["stream"]),
    ).size;

  await server.kill();
  await rm(server.storeDir, { recursive: true });
  await server.restart();

  await eventually("both buckets are missed", () => said("the bucket is gone") === 2);
  await expect(client.submit({ driver: "work", text: "x" })).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(await doctor()).toMatch(/^bad\tnamespace\t"default" is gone while its nodes run/m);
  const [first, second] = nodes;
  await first?.stop();
  await local.node();
  await eventually("the other one hears that they are others", () => said("the bucket was recreated") === 2);
  expect(await doctor()).toMatch(/^bad\tshards\t/m);
  await second?.stop();
  await local.node();
  await eventually("nothing is bad", async () => !/^bad\t/m.test(await doctor()));

  await local.agent({ driver: "work", handler: ({ payload }) => payload });
  for (const text of ["a", "b", "c", "d", "e", "f", "g", "h"])
    expect((await client.run({ driver: "work", text })).text()).toBe(text);
  await expect(client.get("lost")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  await stop();
  await server.stop();
}, 60_000);
