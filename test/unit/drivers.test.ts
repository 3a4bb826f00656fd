import { type AgentView } from "@ergon/core";
import { createNames, step, taskMachine } from "@ergon/core/engine";
import { AgentsTable, Credits, Drivers, Flights, HostedShard, LiveActor, Starter } from "@ergon/node/testing";
import { describe, expect, test } from "vitest";

import { Subject, T0, specOf } from "../support/task-subject.ts";

const shard = new HostedShard(0, 0);

const actorOf = (id: string, priority = 5): LiveActor => {
  const actor = new LiveActor(id, shard, taskMachine);
  actor.state = new Subject(specOf({ priority }, { id })).state;
  return actor;
};

const driversOf = (options = {}): Drivers => new Drivers(createNames("default"), options);

describe("the places in which tasks of a driver wait", () => {
  test("the places in which tasks of a driver wait are one for any agent and one for each agent, each with a queue of its own", () => {
    const driver = driversOf().get("d");
    const queues = [driver.place(), driver.place("a"), driver.place("b")].map(({ queue }) => queue);

    expect(new Set(queues).size).toBe(3);
    expect([driver.place(), driver.place("a")].map(({ queue }) => queues.indexOf(queue))).toEqual([0, 1]);
    expect([driver.any, driver.place("b")].map(({ agent }) => agent)).toEqual([undefined, "b"]);
  });

  test("the places in which tasks of a driver wait belong to one driver: the same agent has a place at each of its drivers", () => {
    const drivers = driversOf();

    expect(drivers.get("d").place("a")).not.toBe(drivers.get("e").place("a"));
  });

  test("the places in which tasks of a driver wait count together as what waits for the driver", () => {
    const drivers = driversOf();
    drivers.get("d").any.queue.add(actorOf("1"), 5);
    drivers.get("d").place("a").queue.add(actorOf("2"), 5);

    expect([drivers.waiting("d"), drivers.waiting("e")]).toEqual([2, 0]);
  });

  test("the places in which tasks of a driver wait ask an agent for its own tasks and for those that any may take, and any agent for the latter alone", () => {
    const drivers = driversOf();
    const driver = drivers.get("d");
    driver.any.queue.add(actorOf("1", 3), 3);
    driver.place("a").queue.add(actorOf("2", 7), 7);
    driver.place("b").queue.add(actorOf("3", 9), 9);

    expect([drivers.waits("d"), drivers.waits("d", "a")]).toEqual([
      { count: 1, priority: 3 },
      { count: 2, priority: 7 },
    ]);
  });

  test("the places in which tasks of a driver wait are forgotten when the last task has left, and their driver only when none waits in any of them", () => {
    const drivers = driversOf();
    const driver = drivers.get("d");
    const task = actorOf("1");
    const { queue } = driver.place("a");
    queue.add(task, 5);

    drivers.forgetIfIdle(driver);
    expect(drivers.get("d")).toBe(driver);

    queue.remove(task);
    expect(driver.waitedIn()).toEqual([]);
    expect(driver.place("a").queue).not.toBe(queue);
    drivers.forgetIfIdle(driver);
    expect(drivers.get("d")).not.toBe(driver);
  });
});

describe("the attempts that a node may have in flight", () => {
  test("the attempts that a node may have in flight have one limit for agents and for the subject of plain agents", () => {
    const driver = driversOf({ d: { limit: 3 } }).get("d");
    driver.served = "yes";
    driver.inFlight = 2;

    expect([driver.attemptsLeft("agents"), driver.attemptsLeft("subject")]).toEqual([1, 1]);
  });

  test("the attempts that a node may have in flight have no limit at agents that announce theirs, and 256 at plain ones, where the node was told none", () => {
    const driver = driversOf().get("d");
    driver.served = "yes";

    expect([driver.attemptsLeft("agents"), driver.attemptsLeft("subject")]).toEqual([Infinity, 256]);
  });

  test("the attempts that a node may have in flight are limited to one while nobody knows whether an agent serves the subject", () => {
    const driver = driversOf({ d: { limit: 3 } }).get("d");

    expect(driver.attemptsLeft("subject")).toBe(1);
  });
});

describe("a driver whose tasks wait for any agent and for one agent", () => {
  /** Agents with free slots, and what starts tasks at them. */
  function stage(slots: Readonly<Record<string, number>>, options = {}) {
    const context = {
      node: "n",
      names: createNames("default"),
      clock: { now: () => T0, monotonic: () => 0 },
      ports: { bus: { request: () => new Promise(() => undefined), publish: () => undefined } },
    } as never;
    const drivers = driversOf(options);
    const agents = new AgentsTable();
    const credits = new Credits(
      context,
      agents,
      () => undefined,
      (driver, agent) => drivers.waits(driver, agent),
    );
    const flights = new Flights(context, agents, credits);
    const started: string[] = [];
    const host = {
      transition: (actor: LiveActor, event: { readonly type: string; readonly agent?: string }) => {
        const before = actor.state;
        if (before === undefined) return false;
        actor.state = step(taskMachine, before, { ...event, at: T0, chance: 0 } as never).state;
        started.push(`${actor.id} at ${event.agent}`);
        return true;
      },
      commit: () => undefined,
    };
    const plainAgents = { offer: () => false };
    const starter = new Starter({ drivers, agents, credits, flights, plainAgents, host } as never);
    for (const [id, held] of Object.entries(slots)) {
      const drivers = [{ name: "d", concurrency: 10 }];
      const view: AgentView = { id, drivers, state: "here", running: 0, version: "", host: "", pid: 0 };
      const credit = agents.heard(view, 0).credits.get("d");
      if (credit !== undefined) credit.held = held;
    }
    const driver = drivers.get("d");
    const wait = (id: string, agent?: string, priority = 5): void =>
      starter.enqueue(actorOf(id, priority), driver.place(agent));
    return { driver, starter, started, wait };
  }

  test("a driver whose tasks wait for any agent and for one agent is not held up by a task that waits for a busy agent", () => {
    const { driver, starter, started, wait } = stage({ busy: 0, idle: 2 });
    wait("pinned", "busy", 9);
    wait("1");
    wait("2");

    starter.pump(driver);

    expect(started).toEqual(["1 at idle", "2 at idle"]);
    expect(driver.waitedIn().map(({ agent }) => agent)).toEqual(["busy"]);
  });

  test("a driver whose tasks wait for any agent and for one agent gives a task to the agent that it waits for, though another one has more free slots", () => {
    const { driver, starter, started, wait } = stage({ own: 1, other: 5 });
    wait("pinned", "own");

    starter.pump(driver);

    expect(started).toEqual(["pinned at own"]);
  });

  test("a driver whose tasks wait for any agent and for one agent serves the places by the priority of their next tasks, and of equals the one for the fewest agents", () => {
    const { driver, starter, started, wait } = stage({ a: 4 });
    wait("any, 5");
    wait("any, 7", undefined, 7);
    wait("own, 5", "a");
    wait("own, 6", "a", 6);

    starter.pump(driver);

    expect(started).toEqual(["any, 7 at a", "own, 6 at a", "own, 5 at a", "any, 5 at a"]);
  });

  test("a driver whose tasks wait for any agent and for one agent counts the attempts of all places against the node's limit", () => {
    const { driver, starter, started, wait } = stage({ a: 4, b: 4 }, { d: { limit: 2 } });
    wait("1", "a");
    wait("2", "b");
    wait("3");

    starter.pump(driver);

    expect(started).toEqual(["1 at a", "2 at b"]);
  });
});
