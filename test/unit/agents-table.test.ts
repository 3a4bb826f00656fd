import type { AgentView } from "@ergon/core";
import { AgentsTable } from "@ergon/node/testing";
import { describe, expect, test } from "vitest";

const beat = (id: string, drivers: readonly string[], state: AgentView["state"] = "here"): AgentView => ({
  id,
  incarnation: "1",
  drivers: drivers.map((name) => ({ name, concurrency: 1 })),
  state,
  running: 0,
  version: "",
  host: "",
  pid: 0,
});

/** A table, and the number of agents of the driver that each call of a listener saw. */
function listenedTo(driver: string): { table: AgentsTable; seen: number[]; end: () => void } {
  const table = new AgentsTable();
  const seen: number[] = [];
  return { table, seen, end: table.onChange(driver, () => seen.push(table.credits(driver).length)) };
}

describe("a listener to the agents of a driver", () => {
  test("a listener to the agents of a driver hears each agent that comes and goes, and nothing of its further beats", () => {
    const { table, seen } = listenedTo("a");
    table.heard(beat("one", ["a"]), 0);
    table.heard(beat("one", ["a"]), 1_000);
    const two = table.heard(beat("two", ["b", "a"]), 1_000);
    table.remove(two);
    expect(seen).toEqual([1, 2, 1]);
  });

  test("a listener to the agents of a driver hears an agent that drains, and nothing more when that agent goes", () => {
    const { table, seen } = listenedTo("a");
    table.heard(beat("one", ["a"]), 0);
    const entry = table.heard(beat("one", ["a"], "draining"), 1_000);
    table.remove(entry);
    expect(seen).toEqual([1, 0]);
  });

  test("a listener to the agents of a driver hears an agent that takes the driver up or gives it up, and nothing of other drivers", () => {
    const { table, seen } = listenedTo("a");
    table.heard(beat("one", ["b"]), 0);
    table.heard(beat("one", ["a"]), 1_000);
    table.heard(beat("one", ["c", "a"]), 2_000);
    table.heard(beat("one", ["c"]), 3_000);
    expect(seen).toEqual([1, 0]);
  });

  test("a listener to the agents of a driver hears nothing after its end, and ends no other listener", () => {
    const { table, seen, end } = listenedTo("a");
    const other: number[] = [];
    table.onChange("a", () => other.push(table.credits("a").length));
    end();
    end();
    table.heard(beat("one", ["a"]), 0);
    expect([seen, other]).toEqual([[], [1]]);
  });
});

describe("a table of agents", () => {
  test("a table of agents is settled when beats have been heard for longer than agents pause between two", () => {
    const table = new AgentsTable();
    const before = table.isSettled(10_000);
    table.listens(10_000);
    expect([before, table.isSettled(11_000), table.isSettled(11_499), table.isSettled(11_500)]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  test("a table of agents is not settled while no beat can be heard, and needs a full beat after that again", () => {
    const table = new AgentsTable();
    table.listens(0);
    table.listens(undefined);
    const cut = table.isSettled(60_000);
    table.listens(60_000);
    expect([cut, table.isSettled(61_000), table.isSettled(61_500)]).toEqual([false, false, true]);
  });
});
