import { taskMachine } from "@ergon/core/engine";
import { DriverQueue, HostedShard, LiveActor, TimerQueue, UNQUEUED, assign, type Due } from "@ergon/node/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

describe("the assignment of shards", () => {
  const anyView = fc
    .record({
      nodes: fc.uniqueArray(fc.stringMatching(/^n[0-9]{1,3}$/), { maxLength: 12 }),
      shards: fc.integer({ min: 1, max: 128 }),
      seed: fc.infiniteStream(fc.nat()),
    })
    .map(({ nodes, shards, seed }) => {
      const candidates = [...nodes, undefined, "gone"];
      const owners = Array.from(
        { length: shards },
        () => candidates[(seed.next().value as number) % candidates.length],
      );
      return { nodes, owners };
    });
  type View = typeof anyView extends fc.Arbitrary<infer V> ? V : never;
  const always = (holds: (view: View, target: (string | undefined)[]) => boolean): (() => void) => {
    const property = fc.property(anyView, (view) => holds(view, assign(view.nodes, view.owners)));
    return () => fc.assert(property, { numRuns: 500 });
  };
  const countsOf = (nodes: readonly string[], target: readonly (string | undefined)[]): number[] =>
    nodes.map((node) => target.filter((owner) => owner === node).length);

  test("the assignment of shards gives every shard to a living node, or none to nobody", () => {
    expect(
      always(({ nodes }, target) =>
        target.every((owner) => (nodes.length === 0 ? owner === undefined : nodes.includes(owner ?? ""))),
      ),
    ).not.toThrow();
  });

  test("the assignment of shards is balanced within one", () => {
    expect(
      always(({ nodes }, target) => {
        const counts = countsOf(nodes, target);
        return nodes.length === 0 || Math.max(...counts) - Math.min(...counts) <= 1;
      }),
    ).not.toThrow();
  });

  test("the assignment of shards moves no more living shards than balance asks for", () => {
    expect(
      always(({ nodes, owners }, target) => {
        const moved = owners.filter(
          (owner, shard) => owner !== undefined && nodes.includes(owner) && target[shard] !== owner,
        ).length;
        const least = Math.floor(owners.length / Math.max(1, nodes.length));
        let odd = owners.length % Math.max(1, nodes.length);
        // The most that nodes can keep: their own up to the quota, the odd ones with those who hold most.
        const kept = countsOf(nodes, owners)
          .toSorted((a, b) => b - a)
          .reduce((sum, held) => sum + Math.min(held, least + (odd-- > 0 ? 1 : 0)), 0);
        const living = owners.filter((owner) => owner !== undefined && nodes.includes(owner)).length;
        return nodes.length === 0 || moved === living - kept;
      }),
    ).not.toThrow();
  });

  test("the assignment of shards is the same for every node, in whatever order it knows the others, and stays once reached (I-5)", () => {
    expect(
      always(({ nodes, owners }, target) => {
        const other = assign(nodes.toReversed(), owners);
        const settled = assign(nodes, target);
        return JSON.stringify(other) === JSON.stringify(target) && JSON.stringify(settled) === JSON.stringify(target);
      }),
    ).not.toThrow();
  });
});

describe("the queue of timers", () => {
  class Entry implements Due {
    due = 0;
    position: number = UNQUEUED;
    readonly name: number;
    constructor(name: number) {
      this.name = name;
    }
  }

  test("the queue of timers always has the earliest first, whatever is set, moved and taken out", () => {
    const anyStep = fc.record({
      what: fc.constantFrom("set", "set", "set", "delete", "take"),
      name: fc.nat({ max: 40 }),
      due: fc.nat({ max: 1_000 }),
    });
    const property = fc.property(fc.array(anyStep, { maxLength: 300 }), (steps) => {
      const queue = new TimerQueue<Entry>();
      const entries = Array.from({ length: 41 }, (_, name) => new Entry(name));
      const sorted = new Map<number, number>();
      for (const { what, name, due } of steps) {
        const entry = what === "take" ? queue.peek() : entries[name];
        if (entry === undefined) continue;
        if (what === "set") {
          queue.set(entry, due);
          sorted.set(name, due);
        } else {
          queue.delete(entry);
          sorted.delete(entry.name);
        }
        const first = queue.peek();
        if (queue.size !== sorted.size) return false;
        if ((first?.due ?? Infinity) !== Math.min(Infinity, ...sorted.values())) return false;
        if (first !== undefined && sorted.get(first.name) !== first.due) return false;
      }
      const drained: number[] = [];
      for (let first = queue.peek(); first !== undefined; first = queue.peek()) {
        drained.push(first.due);
        queue.delete(first);
      }
      return (
        JSON.stringify(drained) === JSON.stringify([...sorted.values()].toSorted((a, b) => a - b)) &&
        entries.every(({ position }) => position === UNQUEUED)
      );
    });
    expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
  });

  test("the queue of timers takes one out although the last has to rise into its place", () => {
    const queue = new TimerQueue<Entry>();
    const entries = [1, 100, 2, 101, 102, 3, 4, 103, 104, 105, 106, 5, 6, 7, 50].map((due) => {
      const entry = new Entry(due);
      queue.set(entry, due);
      return entry;
    });
    for (const entry of entries.filter(({ name }) => name === 101)) queue.delete(entry);
    const order: number[] = [];
    for (let first = queue.peek(); first !== undefined; first = queue.peek()) {
      order.push(first.due);
      queue.delete(first);
    }
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 50, 100, 102, 103, 104, 105, 106]);
  });

  test("the queue of timers ignores what is not in it", () => {
    const queue = new TimerQueue<Entry>();
    queue.delete(new Entry(1));
    expect([queue.size, queue.peek()]).toEqual([0, undefined]);
  });
});

describe("the queue of a driver", () => {
  const shard = new HostedShard(0, 0);
  const actorOf = (name: number): LiveActor => new LiveActor(String(name), shard, taskMachine);
  const namesOf = (queue: DriverQueue): string[] => {
    const names: string[] = [];
    for (let actor = take(queue); actor !== undefined; actor = take(queue)) names.push(actor.id);
    return names;
  };
  const take = (queue: DriverQueue): LiveActor | undefined => {
    const actor = queue.peek();
    if (actor !== undefined) queue.remove(actor);
    return actor;
  };

  test("the queue of a driver is empty, and no error, before anything waits (B-18)", () => {
    expect([new DriverQueue().peek(), new DriverQueue().size]).toEqual([undefined, 0]);
  });

  test("the queue of a driver gives the highest priority first, of one priority the first come (B-17, B-20)", () => {
    const queue = new DriverQueue();
    for (const [name, priority] of [5, 0, 9, 5, 9, 0].entries()) queue.add(actorOf(name), priority);
    expect(namesOf(queue)).toEqual(["2", "4", "0", "3", "1", "5"]);
  });

  test("the queue of a driver gives a task that was out before ahead of those of its priority that were not", () => {
    const queue = new DriverQueue();
    queue.add(actorOf(0), 5);
    queue.add(actorOf(1), 5, true);
    queue.add(actorOf(2), 6);
    expect(namesOf(queue)).toEqual(["2", "1", "0"]);
  });

  test("the queue of a driver loses and doubles nothing, whatever comes, leaves and comes again (B-19)", () => {
    const anyStep = fc.record({
      what: fc.constantFrom("add", "add", "add", "remove", "take"),
      name: fc.nat({ max: 30 }),
      priority: fc.nat({ max: 9 }),
    });
    const property = fc.property(fc.array(anyStep, { maxLength: 400 }), (steps) => {
      const queue = new DriverQueue();
      const actors = Array.from({ length: 31 }, (_, name) => actorOf(name));
      let waiting: { id: string; priority: number }[] = [];
      const next = (): string | undefined => waiting.toSorted((a, b) => b.priority - a.priority)[0]?.id;
      for (const { what, name, priority } of steps) {
        const actor = actors[name] ?? actorOf(name);
        if (what === "add") {
          if (!waiting.some(({ id }) => id === actor.id)) waiting.push({ id: actor.id, priority });
          queue.add(actor, priority);
        } else if (what === "remove") {
          queue.remove(actor);
          waiting = waiting.filter(({ id }) => id !== actor.id);
        } else {
          const expected = next();
          if (take(queue)?.id !== expected) return false;
          waiting = waiting.filter(({ id }) => id !== expected);
        }
        if (queue.size !== waiting.length || queue.peek()?.id !== next()) return false;
      }
      return namesOf(queue).length === waiting.length;
    });
    expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
  });

  test("the queue of a driver keeps its order over many thousands", () => {
    const queue = new DriverQueue();
    for (let name = 0; name < 5_000; name++) queue.add(actorOf(name), 5);
    const names = namesOf(queue);
    expect(names).toEqual(Array.from({ length: 5_000 }, (_, name) => String(name)));
  });
});
