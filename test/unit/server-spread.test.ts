import { silentLogger } from "@ergon/core";
import { createManualClock } from "@ergon/core/testing";
import { ServerSpread, mustMove, type Placed } from "@ergon/node/testing";
import { describe, expect, test } from "vitest";

/** Nodes by server: `{ a: "n1 n2" }`. */
const nodes = (byServer: Readonly<Record<string, string>>): Placed[] =>
  Object.entries(byServer).flatMap(([server, ids]) => ids.split(" ").map((id) => ({ id, server })));
const movers = (placed: readonly Placed[], servers: number): string[] =>
  placed.filter(({ id }) => mustMove(id, placed, servers)).map(({ id }) => id);

describe("the choice of the node that leaves its NATS server", () => {
  test.for([
    ["all are on one of three", { a: "n1 n2 n3" }, 3, ["n3"]],
    ["one of three servers has none", { a: "n1 n2", b: "n3" }, 3, ["n2"]],
    ["one server has two more than another", { a: "n1", b: "n2 n3 n4" }, 2, ["n4"]],
    ["two servers are equally full: one of them", { a: "n1 n2", b: "n3 n4" }, 3, ["n2"]],
    ["each has one", { a: "n1", b: "n2", c: "n3" }, 3, []],
    ["the numbers differ by one", { a: "n1 n2", b: "n3" }, 2, []],
    ["there is one server", { a: "n1 n2 n3" }, 1, []],
  ] as const)("%s", ([, byServer, servers, expected]) => {
    expect(movers(nodes(byServer), servers)).toEqual(expected);
  });

  test("nodes that do not say where they are count for nothing", () => {
    expect(movers([{ id: "n0" }, { id: "n9" }, ...nodes({ a: "n1" })], 3)).toEqual([]);
  });
});

describe("a node that is one too many on its NATS server", () => {
  const stage = () => {
    const clock = createManualClock();
    const placement = { server: "a" as string | undefined, servers: 3, moves: 0 };
    let placed = nodes({ a: "n1 n2" });
    let changed = (): void => undefined;
    const spread = new ServerSpread({
      id: "n2",
      clock,
      logger: silentLogger,
      nodes: () => placed,
      placement: {
        get server() {
          return placement.server;
        },
        servers: 3,
        move: () => placement.moves++,
        onChange: (handler) => {
          changed = handler;
        },
      },
    });
    return {
      clock,
      placement,
      spread,
      set: (now: Placed[]) => {
        placed = now;
        changed();
      },
    };
  };

  test("a node that is one too many on its NATS server leaves it once the nodes have been gathered for five seconds", async () => {
    const { clock, placement, spread } = stage();

    spread.check();
    await clock.advance(4_900);
    spread.check();
    expect(placement.moves).toBe(0);
    await clock.advance(200);
    expect(placement.moves).toBe(1);
  });

  test("a node that is one too many on its NATS server stays where another has left before", async () => {
    const { clock, placement, spread, set } = stage();

    spread.check();
    await clock.advance(4_000);
    set(nodes({ a: "n2", b: "n1" }));
    await clock.advance(10_000);
    expect(placement.moves).toBe(0);
  });

  test("a node that is one too many on its NATS server does not move again before the others know where it is", async () => {
    const { clock, placement, spread } = stage();

    placement.server = "b";
    spread.check();
    await clock.advance(10_000);
    expect(placement.moves).toBe(0);
  });

  test("a node that is one too many on its NATS server looks for an empty server no more often than servers are advertised: one may advertise several addresses", async () => {
    const { clock, placement, set } = stage();

    for (let round = 0; round < 10; round++) {
      // Each move ends at the same server, under another of its addresses.
      set(nodes({ a: "n1 n2" }));
      await clock.advance(10_000);
    }
    expect(placement.moves).toBe(3);
  });

  test("a node that is one too many on its NATS server stays when it is stopping", async () => {
    const { clock, placement, spread } = stage();

    spread.check();
    spread.stop();
    await clock.advance(10_000);
    expect(placement.moves).toBe(0);
  });
});
