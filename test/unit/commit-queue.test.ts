import type { CommitResult } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { QueueStage } from "../support/scripted-records.ts";

const fenced: CommitResult = { kind: "fenced" };
const unknown: CommitResult = { kind: "unknown", message: "no answer" };
const refused = (code: "STORE_FULL" | "PAYLOAD_TOO_LARGE" | "STORE_UNAVAILABLE"): CommitResult => ({
  kind: "refused",
  code,
  message: "no",
});

describe("writes that may be pipelined", () => {
  test("writes that may be pipelined go out one by one at the end of the turn, up to the window, without waiting for each other", async () => {
    const stage = new QueueStage({ window: 2 });
    for (const id of ["a", "b", "c"]) stage.put(stage.actor(id));
    expect(stage.inFlight).toEqual([]);

    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["b@2"]]);

    await stage.pending[1]?.answer(stage.committed());
    expect(stage.inFlight).toEqual([["a@2"], ["c@2"]]);
    expect(stage.told).toEqual(["b@2 stored"]);
  });
});

describe("writes where one commit at a time may be in flight", () => {
  test("writes where one commit at a time may be in flight go as one batch of everything that has queued meanwhile, up to the store's most", async () => {
    const stage = new QueueStage({ oneInFlight: true, maxWrites: 3 });
    stage.put(stage.actor("first"));
    await stage.settle();
    for (const id of ["a", "b", "c", "d"]) stage.put(stage.actor(id));
    await stage.settle();
    expect(stage.inFlight).toEqual([["first@2"]]);

    await stage.pending[0]?.answer(stage.committed());
    expect(stage.inFlight).toEqual([["a@2", "b@2", "c@2"]]);
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.inFlight).toEqual([["d@2"]]);
  });
});

describe("writes where a batch costs more than a few singles", () => {
  test("writes where a batch costs more than a few singles go singly and at once while few wait, and as one batch, with nothing beside it, when many do", async () => {
    const stage = new QueueStage({ oneInFlight: true, fewSingles: 2 });
    for (const id of ["a", "b"]) stage.put(stage.actor(id));
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["b@2"]]);

    for (const id of ["c", "d"]) stage.put(stage.actor(id));
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["b@2"]]);

    stage.put(stage.actor("e"));
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["b@2"], ["c@2", "d@2", "e@2"]]);

    stage.put(stage.actor("f"));
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.inFlight).toEqual([["b@2"], ["c@2", "d@2", "e@2"]]);
    await stage.pending[1]?.answer(stage.committed());
    expect(stage.inFlight).toEqual([["b@2"], ["f@2"]]);
  });
});

describe("several changes of one actor", () => {
  test("several changes of one actor that are queued are one write, the newest, and all of them are told", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("a");
    stage.put(actor);
    stage.put(actor);
    stage.put(actor);
    await stage.settle();

    expect(stage.inFlight).toEqual([["a@4"]]);
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.told).toEqual(["a@2 stored", "a@3 stored", "a@4 stored"]);
    expect([actor.writing.stored, stage.shard.writes]).toEqual([4, 0]);
  });

  test("several changes of one actor are stored in their order, though both are in flight", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("a");
    stage.put(actor);
    await stage.settle();
    stage.put(actor);
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["a@3"]]);
  });

  test("a newer change that is stored overtakes an older one in doubt: the older caller is answered, and nothing is written again", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("a");
    stage.put(actor);
    await stage.settle();
    stage.put(actor);
    await stage.settle();
    const [older, newer] = [...stage.pending];

    await older?.answer(unknown);
    await newer?.answer(stage.committed());
    expect(stage.told).toEqual(["a@3 stored"]);
    await stage.takenAgain();

    expect(stage.inFlight).toEqual([]);
    expect(stage.told).toEqual(["a@3 stored", "a@2 stored"]);
    expect([actor.writing.stored, stage.shard.writes]).toEqual([3, 0]);
  });

  test("an older change in doubt is written again as the newest, once, for both", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("a");
    stage.put(actor);
    await stage.settle();
    const [older] = [...stage.pending];
    await older?.answer(unknown);
    stage.put(actor);
    await stage.settle();
    expect(stage.inFlight).toEqual([]);

    await stage.takenAgain();

    expect(stage.inFlight).toEqual([["a@3"]]);
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.told).toEqual(["a@2 stored", "a@3 stored"]);
    expect(stage.shard.writes).toBe(0);
  });
});

describe("a change that waits behind an older one of its actor in doubt", () => {
  test("a change that waits behind an older one of its actor in doubt is one write with it: both are told, and the shard is idle then", async () => {
    const stage = new QueueStage({ oneInFlight: true });
    const actor = stage.actor("a");
    stage.put(actor);
    await stage.settle();
    stage.put(actor);
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"]]);

    await stage.pending[0]?.answer(unknown);
    await stage.takenAgain();
    expect(stage.inFlight).toEqual([["a@3"]]);
    await stage.pending[0]?.answer(stage.committed());

    expect(stage.told).toEqual(["a@2 stored", "a@3 stored"]);
    expect([stage.shard.writes, stage.queue.length]).toEqual([0, 0]);
  });
});

describe("a commit in doubt", () => {
  test.for([fenced, unknown])(
    "a commit in doubt ($kind) is held back until its shard is claimed again, and is sent under the new fence (I-2)",
    async (result) => {
      const stage = new QueueStage();
      stage.put(stage.actor("a"));
      await stage.settle();

      await stage.pending[0]?.answer(result);
      expect([stage.doubts, stage.told, stage.inFlight]).toEqual([[0], [], []]);
      await stage.takenAgain();

      expect(stage.pending[0]?.writes.map(({ fence }) => fence)).toEqual([2]);
      await stage.pending[0]?.answer(stage.committed());
      expect(stage.told).toEqual(["a@2 stored"]);
    },
  );

  test("a commit in doubt claims each of its shards again, and holds back no other", async () => {
    const stage = new QueueStage({ oneInFlight: true });
    const [one, two, three] = [stage.newShard(1), stage.newShard(2), stage.newShard(3)];
    stage.put(stage.actor("a", { shard: one }));
    stage.put(stage.actor("b", { shard: two }));
    await stage.settle();

    await stage.pending[0]?.answer(fenced);
    stage.put(stage.actor("c", { shard: three }));
    await stage.settle();

    expect(stage.doubts).toEqual([1, 2]);
    expect(stage.inFlight).toEqual([["c@2"]]);
  });

  test("a commit in doubt of a lost shard is forgotten: nobody is answered, and nothing is written", async () => {
    const stage = new QueueStage();
    stage.put(stage.actor("a"));
    await stage.settle();
    stage.put(stage.actor("b"));
    stage.shard.phase = "closed";
    stage.queue.drop(stage.shard);

    await stage.pending[0]?.answer(unknown);

    expect([stage.told, stage.doubts, stage.inFlight, stage.queue.length]).toEqual([[], [], [], 0]);
  });
});

describe("a refusal by the store", () => {
  test("a refused creation is reported to its caller, and the actor is forgotten", async () => {
    const stage = new QueueStage();
    stage.put(stage.actor("new", { stored: false }));
    await stage.settle();
    await stage.pending[0]?.answer(refused("STORE_FULL"));

    expect([stage.told, stage.forgotten, stage.refusals, stage.shard.writes]).toEqual([
      ["new@1 STORE_FULL"],
      ["new"],
      [],
      0,
    ]);
  });

  test("a refused change waits until the store accepts it, and nothing is sent meanwhile", async () => {
    const stage = new QueueStage();
    stage.put(stage.actor("a"));
    await stage.settle();
    await stage.pending[0]?.answer(refused("STORE_UNAVAILABLE"));
    stage.put(stage.actor("b"));
    await stage.settle();
    expect([stage.inFlight, stage.told, stage.refusals.length]).toEqual([[], [], 1]);

    stage.queue.resume();
    await stage.settle();
    expect(stage.inFlight).toEqual([["a@2"], ["b@2"]]);
  });

  test("a refused creation that an earlier try may have stored waits as well (I-7)", async () => {
    const stage = new QueueStage();
    stage.put(stage.actor("new", { stored: false }));
    await stage.settle();
    await stage.pending[0]?.answer(unknown);
    await stage.takenAgain();

    await stage.pending[0]?.answer(refused("STORE_FULL"));

    expect([stage.told, stage.forgotten]).toEqual([[], []]);
    stage.queue.resume();
    await stage.settle();
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.told).toEqual(["new@1 stored"]);
  });

  test("a refused creation refuses the changes behind it, so that no actor is written that does not exist (I-7)", async () => {
    const stage = new QueueStage({ oneInFlight: true });
    const actor = stage.actor("new", { stored: false });
    stage.put(actor);
    await stage.settle();
    stage.put(actor);

    await stage.pending[0]?.answer(refused("STORE_UNAVAILABLE"));

    expect(stage.inFlight).toEqual([]);
    expect(stage.told).toEqual(["new@1 STORE_UNAVAILABLE", "new@2 STORE_UNAVAILABLE"]);
    expect([stage.forgotten, stage.shard.writes]).toEqual([["new"], 0]);
  });

  test("a refused creation waits for the changes in flight, since one of them may have created the actor (I-7)", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("new", { stored: false });
    stage.put(actor);
    await stage.settle();
    stage.put(actor);
    await stage.settle();
    const [first, second] = [...stage.pending];

    await first?.answer(refused("STORE_FULL"));
    expect([stage.told, stage.forgotten]).toEqual([[], []]);
    await second?.answer(stage.committed());
    stage.queue.resume();
    await stage.settle();

    expect([stage.told, stage.forgotten, stage.inFlight]).toEqual([["new@2 stored", "new@1 stored"], [], []]);
    expect(stage.shard.writes).toBe(0);
  });

  test("a refused change waits for the outcome of its creation, and leaves the actor to that (I-7)", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("new", { stored: false });
    stage.put(actor);
    await stage.settle();
    stage.put(actor);
    await stage.settle();
    const [first, second] = [...stage.pending];

    await second?.answer(refused("STORE_UNAVAILABLE"));
    await first?.answer(unknown);
    await stage.takenAgain();

    expect([stage.told, stage.forgotten, stage.inFlight]).toEqual([[], [], [["new@2"]]]);
    await stage.pending[0]?.answer(stage.committed());
    expect(stage.told.toSorted()).toEqual(["new@1 stored", "new@2 stored"]);
    expect(stage.shard.writes).toBe(0);
  });

  test("a refused batch is split into halves that go one after the other, and only the faulty write is refused (I-12)", async () => {
    const stage = new QueueStage({ oneInFlight: true });
    for (const id of ["a", "b", "c", "large"]) stage.put(stage.actor(id, { stored: false }));
    await stage.settle();

    const sent = await answerAll(stage);

    expect(sent).toEqual([["a@1", "b@1", "c@1", "large@1"], ["a@1", "b@1"], ["c@1", "large@1"], ["c@1"], ["large@1"]]);
    expect(stage.told).toEqual(["a@1 stored", "b@1 stored", "c@1 stored", "large@1 PAYLOAD_TOO_LARGE"]);
  });
});

/** Answers one commit after the other as the server does that takes nothing with `large` in it, and never two at a time. */
async function answerAll(stage: QueueStage): Promise<(readonly string[])[]> {
  const sent: (readonly string[])[] = [];
  for (let commit = stage.pending[0]; commit !== undefined; commit = stage.pending[0]) {
    expect(stage.pending).toHaveLength(1);
    sent.push(commit.named);
    const isTooLarge = commit.named.some((name) => name.startsWith("large@"));
    await commit.answer(isTooLarge ? refused("PAYLOAD_TOO_LARGE") : stage.committed());
  }
  return sent;
}

describe("a record that the store refuses for itself, of an actor that exists", () => {
  test("a record of an existing actor that the store refuses is named in the log and pauses, longer each time, while all others continue (I-12)", async () => {
    const stage = new QueueStage({ oneInFlight: true });
    for (const id of ["a", "large", "c"]) stage.put(stage.actor(id));
    await stage.settle();

    await answerAll(stage);
    expect(stage.told).toEqual(["a@2 stored", "c@2 stored"]);
    expect([stage.blamed, stage.refusals]).toEqual([["large"], []]);
    stage.put(stage.actor("later"));
    await stage.settle();
    expect(await answerAll(stage)).toEqual([["later@2"]]);

    await stage.clock.advance(999);
    expect(stage.inFlight).toEqual([]);
    await stage.clock.advance(1);
    expect(await answerAll(stage)).toEqual([["large@2"]]);
    await stage.clock.advance(1_999);
    expect(stage.inFlight).toEqual([]);
    await stage.clock.advance(1);
    expect(stage.inFlight).toEqual([["large@2"]]);
    await stage.pending[0]?.answer(stage.committed());
    expect([stage.told.at(-1), stage.shard.writes]).toEqual(["large@2 stored", 0]);
  });

  test("a record of an existing actor that the store refuses is sent at once after its next change, and all callers are answered", async () => {
    const stage = new QueueStage();
    const actor = stage.actor("large");
    stage.put(actor);
    await stage.settle();
    await stage.pending[0]?.answer(refused("PAYLOAD_TOO_LARGE"));

    stage.put(actor);
    await stage.settle();
    expect(stage.inFlight).toEqual([["large@3"]]);
    await stage.pending[0]?.answer(stage.committed());

    expect(stage.told).toEqual(["large@2 stored", "large@3 stored"]);
    expect([stage.clock.pending, stage.shard.writes]).toEqual([0, 0]);
  });

  test("a record of an existing actor that the store refuses does not hold up the release of its shard, or anything after it", async () => {
    const stage = new QueueStage();
    let idle = 0;
    stage.shard.onIdle = () => idle++;
    stage.put(stage.actor("large"));
    await stage.settle();
    await stage.pending[0]?.answer(refused("PAYLOAD_TOO_LARGE"));
    expect([idle, stage.shard.writes]).toEqual([1, 0]);

    stage.shard.phase = "closed";
    stage.queue.drop(stage.shard);
    expect(stage.clock.pending).toBe(0);
  });
});

test("a shard that waits for its last write is told when it is written", async () => {
  const stage = new QueueStage();
  let idle = 0;
  stage.shard.onIdle = () => idle++;
  stage.put(stage.actor("a"));
  stage.put(stage.actor("b"));
  await stage.settle();
  await stage.pending[0]?.answer(stage.committed());
  expect(idle).toBe(0);
  await stage.pending[0]?.answer(stage.committed());
  expect(idle).toBe(1);
});
