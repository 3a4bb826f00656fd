import { HostedShard, unreadableError } from "@ergon/node/testing";
import { expect, test } from "vitest";

test("a record that was set aside is reported as unreadable, unless a running node knows its machine: then the shard goes to that node (B-21)", () => {
  const shard = new HostedShard(3, 0);
  shard.setAside("damaged", "not a map");
  shard.setAside("order-1", "machine order@2 is not known here", "order@2");

  expect(unreadableError(shard, "other")).toBeUndefined();
  expect(unreadableError(shard, "damaged")).toMatchObject({ code: "TASK_UNREADABLE", kind: "conflict" });
  expect(unreadableError(shard, "order-1")).toMatchObject({ code: "TASK_UNREADABLE", kind: "conflict" });
  shard.isKnownElsewhere = (machine) => machine === "order@2";
  expect(unreadableError(shard, "order-1")).toMatchObject({
    code: "SHARD_MOVED",
    kind: "unavailable",
    retryAfterMs: 250,
  });
  expect(unreadableError(shard, "damaged")).toMatchObject({ code: "TASK_UNREADABLE" });
});

test("a shard needs the machines of what waits in it, and what was wanted until that is over", () => {
  const shard = new HostedShard(3, 0);
  const told: string[][] = [];
  shard.onNeeds = () => told.push([...shard.needs(0)]);
  shard.setAside("order-1", "machine order@2 is not known here", "order@2");
  shard.want("parcel@1", 0, 100);
  shard.want("parcel@1", 50, 150);

  expect(told).toEqual([["order@2"], ["order@2", "parcel@1"]]);
  expect(shard.needs(149)).toEqual(["order@2", "parcel@1"]);
  expect(shard.needs(150)).toEqual(["order@2"]);
});
