import { RetryableError, SECOND, TerminalError, defineMachine, driver, type Headers, type Instance } from "@ergon/core";
import { H, encodeError } from "@ergon/core/engine";
import { describe, expect, test as base } from "vitest";
import { setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

interface Answer {
  readonly event: string;
  readonly data?: Uint8Array;
  readonly headers?: Headers;
}

/** An agent that answers what a test tells it to, as often as that says. */
interface Speaker {
  readonly cluster: MemoryCluster;
  /** Submits task `t`, and lets its first attempt begin. */
  readonly begin: (options?: object) => Promise<void>;
  /** Starts an instance that invokes a task, rests, and ends; from now on it is about that task. */
  readonly invoke: () => Promise<Instance>;
  /** Answers an attempt, with a word in return for each. */
  readonly answer: (attempt: number, ...answers: Answer[]) => void;
  /** What was said in return: `recorded`, or the error's code. */
  readonly told: string[];
}

const succeeded = (text: string): Answer => ({ event: "succeeded", data: Buffer.from(text) });
const failed = (error: Error): Answer => ({ event: "failed", ...encodeError(error) });
const broken = failed(new RetryableError("BROKEN", "it broke"));

const asker = defineMachine(
  setup({ actors: { work: driver("work", { task: { attemptTimeout: "1h" } }) } }).createMachine({
    id: "asker",
    initial: "asking",
    states: {
      asking: { invoke: { src: "work", onDone: "resting", onError: "resting" } },
      resting: { on: { END: "over" } },
      over: { type: "final" },
    },
  }),
);

const test = base.extend<{ speaker: Speaker }>({
  speaker: async ({}, use) => {
    const cluster = createMemoryCluster({ shards: 1, maxMessageBytes: 65_536, machines: [asker] });
    await cluster.addNodes("n1");
    const { names } = cluster;
    const { bus } = cluster.connect("s1");
    const told: string[] = [];
    let id = "t";
    bus.subscribe(names.control("s1"), ({ reply = "" }) => bus.publish(reply, Buffer.from('{"granted":1}')));
    bus.subscribe(names.recorded("s1", ">"), (message) => told.push(message.header(H.error) ?? "recorded"));
    bus.subscribe(names.agent("work", "s1"), () => undefined);
    const presence = { agent: "s1", drivers: [{ name: "work", concurrency: 1 }], state: "here", running: 0 };
    const beat = (): void => {
      bus.publish(names.presence, Buffer.from(JSON.stringify(presence)));
      cluster.clock.after(SECOND, beat);
    };
    beat();
    await use({
      cluster,
      told,
      begin: async (options = {}) => {
        await cluster.drive(cluster.client().submit({ driver: "work", id: "t", attemptTimeout: "1h", ...options }));
        await cluster.clock.advance(50);
      },
      invoke: async () => {
        id = "i~1";
        const instance = await cluster.drive(cluster.client().start("asker", undefined, { id: "i" }));
        await cluster.clock.advance(50);
        return instance;
      },
      answer: (attempt, ...answers) => {
        for (const { event, data = new Uint8Array(), headers = {} } of answers)
          bus.publish(names.reply(0, id, attempt), data, {
            headers: { ...headers, [H.event]: event, [H.agent]: "s1" },
            reply: names.recorded("s1", `${id}.${attempt}`),
          });
      },
    });
  },
});

describe("an answer whose acknowledgement was lost, sent again", () => {
  test.for<[string, Answer, object]>([
    ["a response", succeeded("done"), {}],
    ["a final failure", failed(new TerminalError("WRONG", "never")), {}],
    ["the last failure that may be", broken, { retry: { maxAttempts: 1 } }],
    ["a failure with a long reason", failed(new TerminalError("LONG", "x".repeat(1_000))), {}],
    ["a response that does not fit into its record", { event: "succeeded", data: new Uint8Array(65_000) }, {}],
  ])(
    "an answer that is sent again after the task has ended is answered as recorded: %s",
    async ([, answer, options], { speaker }) => {
      const { cluster, told } = speaker;
      await speaker.begin(options);
      const { reads } = cluster.writes;
      speaker.answer(1, answer);
      await cluster.clock.advance(100);
      const readsOnce = cluster.writes.reads - reads;

      speaker.answer(1, answer);
      await cluster.clock.advance(100);

      expect(told).toEqual(["recorded", "recorded"]);
      expect([readsOnce, cluster.writes.reads - reads]).toEqual([0, 1]);
    },
  );

  test.for<[string, Answer, object]>([
    ["a failure, in the pause that follows", broken, { retry: { initial: "1h", max: "1h" } }],
    ["a failure, while the next attempt runs", broken, { retry: { initial: 0 } }],
    ["a return, while the next attempt runs", { event: "returned", headers: { [H.reason]: "not now" } }, {}],
  ])(
    "an answer that is sent again while the task lives is answered as recorded, without a read: %s",
    async ([, answer, options], { speaker }) => {
      const { cluster, told } = speaker;
      await speaker.begin(options);
      const { reads } = cluster.writes;
      speaker.answer(1, answer);
      await cluster.clock.advance(100);

      speaker.answer(1, answer);
      await cluster.clock.advance(100);

      expect(told).toEqual(["recorded", "recorded"]);
      expect(cluster.writes.reads).toBe(reads);
    },
  );

  test("an answer that is sent again before it is stored is answered once it is stored", async ({ speaker }) => {
    const { cluster, told } = speaker;
    await speaker.begin();
    let storedBefore = -1;
    cluster.onCommit = () => (storedBefore = told.length);

    speaker.answer(1, succeeded("done"), succeeded("done"));
    await cluster.clock.advance(100);

    expect([storedBefore, told]).toEqual([0, ["recorded", "recorded"]]);
  });
});

describe("an answer that is not the recorded one is refused", () => {
  test.for<[string, Answer, number, Answer]>([
    ["another response of the attempt", succeeded("done"), 1, succeeded("otherwise")],
    ["a failure of an attempt that succeeded", succeeded("done"), 1, broken],
    ["a response of an attempt that failed", failed(new TerminalError("WRONG", "never")), 1, succeeded("done")],
    ["another failure", failed(new TerminalError("WRONG", "never")), 1, broken],
    ["the same of an attempt that never was", succeeded("done"), 2, succeeded("done")],
  ])("%s", async ([, recorded, attempt, other], { speaker }) => {
    const { cluster, told } = speaker;
    await speaker.begin();
    speaker.answer(1, recorded);
    await cluster.clock.advance(100);

    speaker.answer(attempt, other);
    await cluster.clock.advance(100);

    expect(told).toEqual(["recorded", "ATTEMPT_STALE"]);
  });

  test("an answer of a failed run is refused once a retry has begun another run, and both records stay readable (M-8)", async ({
    speaker,
  }) => {
    const { cluster, told } = speaker;
    await speaker.begin({ retry: { maxAttempts: 1 } });
    speaker.answer(1, broken);
    await cluster.clock.advance(100);
    const again = await cluster.drive(cluster.client().retry("t"));
    await cluster.clock.advance(100);

    speaker.answer(1, succeeded("too late"));
    await cluster.clock.advance(100);

    expect(told).toEqual(["recorded", "ATTEMPT_STALE"]);
    expect(await cluster.drive(cluster.client().get("t"))).toMatchObject({ status: "failed", attempt: 1 });
    expect(await cluster.drive(cluster.client().get(again.id))).toMatchObject({ origin: "t", status: "started" });
  });

  test("an answer of a task that was ended by force meanwhile is refused", async ({ speaker }) => {
    const { cluster, told } = speaker;
    await speaker.begin();
    await cluster.drive(cluster.client().end("t"));

    speaker.answer(1, succeeded("done"), broken);
    await cluster.clock.advance(100);

    expect(told).toEqual(["ATTEMPT_STALE", "ATTEMPT_STALE"]);
  });
});

describe("an answer that has ended a task in the record of its instance, sent again", () => {
  const wrong = failed(new TerminalError("WRONG", "never"));
  const afterwards: [string, (speaker: Speaker, instance: Instance) => Promise<unknown>][] = [
    ["while the instance goes on", async () => undefined],
    [
      "to the next owner of its shard",
      async ({ cluster }) => {
        cluster.nodes[0]?.kill();
        await cluster.addNodes("n2");
        await cluster.waitForOwners();
      },
    ],
    ["when the instance has ended", ({ cluster }, instance) => cluster.drive(instance.send({ type: "END" }))],
  ];

  test.for(afterwards)("is told that it is recorded, another one is refused: %s", async ([, pass], { speaker }) => {
    const { cluster, told } = speaker;
    const instance = await speaker.invoke();
    speaker.answer(1, succeeded("done"));
    await cluster.clock.advance(100);
    await pass(speaker, instance);

    for (const [attempt, answer] of [
      [1, succeeded("done")],
      [1, succeeded("otherwise")],
      [1, wrong],
      [2, succeeded("done")],
    ] as const) {
      speaker.answer(attempt, answer);
      await cluster.clock.advance(100);
    }

    expect(told).toEqual(["recorded", "recorded", "ATTEMPT_STALE", "ATTEMPT_STALE", "ATTEMPT_STALE"]);
  });

  test("a final failure that has ended a task of an instance is answered as recorded when it is sent again", async ({
    speaker,
  }) => {
    const { cluster, told } = speaker;
    await speaker.invoke();
    for (const answer of [wrong, wrong, broken, succeeded("done")]) {
      speaker.answer(1, answer);
      await cluster.clock.advance(100);
    }

    expect(told).toEqual(["recorded", "recorded", "ATTEMPT_STALE", "ATTEMPT_STALE"]);
  });

  test("an answer that has ended a task of an instance is refused once the state that asked for the task was left", async ({
    speaker,
  }) => {
    const { cluster, told } = speaker;
    const instance = await speaker.invoke();
    await cluster.drive(instance.cancel());

    speaker.answer(1, succeeded("done"));
    await cluster.clock.advance(100);

    expect(told).toEqual(["ATTEMPT_STALE"]);
  });
});
