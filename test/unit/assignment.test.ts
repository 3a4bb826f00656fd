import { assign } from "@ergon/node/testing";
import fc from "fast-check";
import { expect, test } from "vitest";

const anyView = fc
  .record({
    nodes: fc.integer({ min: 1, max: 6 }),
    owners: fc.array(fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined }), { minLength: 1, maxLength: 40 }),
    knowing: fc.array(fc.option(fc.uniqueArray(fc.integer({ min: 0, max: 5 })), { nil: undefined }), { maxLength: 40 }),
  })
  .map(({ nodes, owners, knowing }) => {
    const names = Array.from({ length: nodes }, (_, n) => `n${n}`);
    const sets = knowing.map((some) => {
      const known = some?.filter((n) => n < nodes).map((n) => `n${n}`);
      return known === undefined || known.length === 0 ? undefined : new Set(known);
    });
    return {
      nodes: names,
      owners: owners.map((n) => (n === undefined ? undefined : `n${n}`)),
      eligible: (shard: number) => sets[shard],
    };
  });

test("a shard goes only where it may go, and all of them go somewhere", () => {
  const property = fc.property(anyView, ({ nodes, owners, eligible }) =>
    assign(nodes, owners, eligible).every((node, shard) =>
      node === undefined ? false : (eligible(shard)?.has(node) ?? nodes.includes(node)),
    ),
  );
  expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow();
});

test("a shard that has moved stays: the assignment of an assignment is the same, from every node's view", () => {
  const property = fc.property(anyView, ({ nodes, owners, eligible }) => {
    const target = assign(nodes, owners, eligible);
    const again = assign(nodes.toReversed(), target, eligible);
    return JSON.stringify(again) === JSON.stringify(target);
  });
  expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow();
});

test("shards that may go anywhere even out what the others leave uneven", () => {
  const eligible = (shard: number) => (shard < 6 ? new Set(["a"]) : undefined);
  const target = assign(["a", "b", "c"], Array<string>(12).fill("a"), eligible);

  expect(target.slice(0, 6)).toEqual(Array<string>(6).fill("a"));
  expect(["a", "b", "c"].map((node) => target.filter((other) => other === node).length)).toEqual([6, 3, 3]);
});

test("shards that several nodes may host leave the one that has more than its share", () => {
  const eligible = () => new Set(["a", "b"]);
  const target = assign(["a", "b", "c"], Array<string>(9).fill("a"), eligible);

  expect(target.filter((node) => node === "b").length).toBeGreaterThanOrEqual(4);
  expect(target).not.toContain("c");
});

test("a shard does not move from where it may be for the sake of others that are bound", () => {
  const eligible = (shard: number) => (shard < 2 ? new Set(["a", "b"]) : undefined);
  const owners = ["a", "a", "b", "b"];

  expect(assign(["a", "b"], owners, eligible)).toEqual(owners);
});
