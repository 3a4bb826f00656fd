import { DAY, formatDuration, isTerminal, parseDuration } from "@ergon/core";
import { backoffMs, createIdFactory, isActorId, isId, isTaskId, seededRandom, shardOf } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import vectors from "./shard-vectors.json" with { type: "json" };

describe("the shard of an id", () => {
  test.for(vectors)("$id", ({ id, crc32, shards }) => {
    expect(isId(id)).toBe(true);
    expect(shardOf(id, 2 ** 32)).toBe(crc32);
    for (const [count, shard] of Object.entries(shards)) expect(shardOf(id, Number(count))).toBe(shard);
  });

  test("the shard of an id is the common CRC-32: 123456789 gives cbf43926", () => {
    expect(shardOf("123456789", 2 ** 32)).toBe(0xcbf43926);
  });

  test("the shard of a schedule's run is the shard of the schedule", () => {
    for (const run of ["nightly=20300131T020000Z", "nightly=20300131T020000_250Z-t3", "nightly=20300131T020000Z~12"]) {
      expect(shardOf(run, 64)).toBe(shardOf("nightly", 64));
      expect([run, isId(run), isActorId(run), isTaskId(run)]).toEqual([run, false, !run.includes("~"), true]);
    }
    for (const text of ["nightly=", "=a", "a=b=c", "a=b~", "a~1=b", `a=${"b".repeat(65)}`])
      expect([text, isActorId(text), isTaskId(text)]).toEqual([text, false, false]);
  });

  test("the shard of an id spreads made-up ids evenly", () => {
    const newId = createIdFactory(seededRandom(5));
    const counts = Array.from({ length: 64 }, () => 0);
    for (let index = 0; index < 64_000; index++) counts[shardOf(newId(), 64)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_200);
  });
});

describe("made-up ids", () => {
  test("made-up ids are valid, never empty and never repeated (B-7)", () => {
    const newId = createIdFactory(seededRandom(9));
    const ids = Array.from({ length: 20_000 }, newId);
    expect(ids.every((id) => isId(id) && id.length === 21)).toBe(true);
    expect(new Set(ids).size).toBe(20_000);
  });

  test("made-up ids of one seed are the same everywhere", () => {
    const [one, other] = [1, 1].map((seed) => createIdFactory(seededRandom(seed))());
    expect(one).toBe(other);
  });
});

describe("durations", () => {
  test.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["2d", 2 * DAY],
    ["1.5s", 1_500],
    ["0", 0],
    ["1000", 1_000],
    [" 5s ", 5_000],
    ["1d2h3m4s5ms", 93_784_005],
  ])("%s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(
    ["", "s", "5", "5 s", "-5s", "5S", "1h 30m", "ten", "5s5", "1e3", "Infinity", "NaN", "0x10", "5ms5"].filter(
      (text) => text !== "5",
    ),
  )("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test.each([
    [0, "0ms"],
    [999, "999ms"],
    [1_500, "1.5s"],
    [125_000, "2m 5s"],
    [3_600_000, "1h"],
    [5_400_000, "1h 30m"],
    [DAY + 3 * 3_600_000, "1d 3h"],
  ])("%i ms are written %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("written without its space, a duration is read back as what it says", () => {
    expect(() =>
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 400 * DAY }), (ms) => {
          const back = parseDuration(formatDuration(ms).replace(" ", ""));
          return back !== undefined && Math.abs(back - ms) <= Math.max(50, ms * 0.05);
        }),
      ),
    ).not.toThrow();
  });
});

describe("the pause between attempts", () => {
  const policy = { initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0 };

  test("the pause between attempts doubles up to the longest", () => {
    expect([1, 2, 3, 4, 20, 2_000].map((failures) => backoffMs(policy, failures, 0.5))).toEqual([
      500, 1_000, 2_000, 4_000, 60_000, 60_000,
    ]);
  });

  test("a pause between attempts that begins at 0 stays 0, however far the factor has grown", () => {
    expect(backoffMs({ ...policy, initialMs: 0, factor: 100 }, 1_000, 0.5)).toBe(0);
  });

  test("the pause between attempts is spread around itself by chance, never beyond the longest, never negative", () => {
    const anyPolicy = fc.record({
      initialMs: fc.nat({ max: 1e6 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      maxMs: fc.nat({ max: 1e7 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        anyPolicy,
        fc.integer({ min: 1, max: 1_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (any, failures, chance) => {
          const pause = backoffMs(any, failures, chance);
          const exact = backoffMs({ ...any, jitter: 0 }, failures, chance);
          return (
            Number.isInteger(pause) &&
            pause >= 0 &&
            pause <= any.maxMs &&
            pause >= Math.floor(exact * (1 - any.jitter)) - 1 &&
            pause <= Math.ceil(exact * (1 + any.jitter)) + 1
          );
        },
      ),
    );
    expect(backoffMs({ ...policy, jitter: 0.5 }, 1, 0)).toBe(250);
    expect(backoffMs({ ...policy, jitter: 0.5 }, 1, 0.999_999)).toBe(750);
  });

  test("the pause between attempts grows with the failures", () => {
    expect(() =>
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 50 }),
          (failures) => backoffMs(policy, failures + 1, 0.5) >= backoffMs(policy, failures, 0.5),
        ),
      ),
    ).not.toThrow();
  });
});

describe("statuses", () => {
  test("an unknown status counts as live (M-13)", () => {
    expect(["succeeded", "failed", "cancelled"].every(isTerminal)).toBe(true);
    expect(["scheduled", "started", "retrying", "paused", ""].some(isTerminal)).toBe(false);
  });
});
