import path from "node:path";

import { expect } from "vitest";

import { linesOf, test } from "../support/ergon-dev.ts";
import { startErgon } from "../support/ergon-process.ts";

const newer = path.resolve(import.meta.dirname, "../support/machines/order-v2.ts");
const others = path.resolve(import.meta.dirname, "../support/machines/good.ts");

test("check says before a deploy which instances would break, and a node that knows the new version moves the others", async ({
  dev,
  ergon,
}) => {
  for (const id of ["d1", "d2", "p1"]) await ergon(["start", "order", '{"amount": 5}', "--id", id]);
  await ergon(["send", "p1", "confirm", "--until", "state:paid", "--timeout", "20s"]);

  expect(await ergon(["check", "--machines", others])).toEqual({
    code: 1,
    out: "order\t1\tdraft\t2\tbreaks\tmachine order@1 is not known (d1)\norder\t1\tpaid\t1\tbreaks\tmachine order@1 is not known (p1)\n",
    err: "ergon: 3 live instances, 3 would break\n",
  });
  const checked = await ergon(["check", "--machines", newer, "--json"]);
  expect(checked.code).toBe(1);
  expect(linesOf(checked).map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {
      state: "paid",
      kind: "breaks",
      to: "2",
      count: 1,
      example: "p1",
      reason: expect.stringContaining('no way from "paid"') as string,
    },
    { state: "draft", kind: "moves", to: "2", count: 2 },
  ]);
  expect(await ergon(["get", "d1"])).toMatchObject({ out: expect.stringContaining("order, version 1") as string });

  const node = startErgon(["node", "--machines", newer, "--log-level", "silent"], dev.env);
  await node.ready;
  expect(await ergon(["migrate", "oder", "--from", "1"])).toMatchObject({
    code: 3,
    err: expect.stringMatching(/^ergon: MACHINE_NOT_FOUND: [^\n]*order@/),
  });
  const moved = await ergon(["migrate", "order", "--from", "1", "--to", "2"]);
  expect(moved.code).toBe(1);
  expect(moved.out).toContain('p1 MIGRATION_FAILED: from order@1 to 2: no way from "paid"\n');
  expect(moved.out).toContain("2 of 3 instances of order@1 moved, 1 stayed\n");
  expect((await ergon(["ls", "--machine", "order", "--state", "open"])).out.split("\n")).toHaveLength(3);
  expect((await ergon(["nodes"])).out).toContain("order@1, order@2");
  expect(await ergon(["send", "p1", "ship"])).toMatchObject({ code: 0, out: "closed\n" });
  expect(await ergon(["send", "d1", "close"])).toMatchObject({ code: 0, out: "closed\n" });
  node.kill("SIGTERM");
  await node.ended;
});

test("check without machines is refused as usage", async ({ ergon }) => {
  expect(await ergon(["check"])).toMatchObject({
    code: 2,
    err: expect.stringContaining("--machines is missing") as string,
  });
});
