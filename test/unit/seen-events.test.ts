// The memory of the events that an instance has taken, beside a set that forgets nothing.
import { eventMemory, hasRoomFor, hasSeen, remember, type EventMemory } from "@ergon/core/engine";
import fc from "fast-check";
import { expect, test } from "vitest";

const EMPTY: EventMemory = { seen: [] };
const START = 1_767_225_600_000;

/** Ids that are hard to tell apart: the same digits, split at another place, with and without zeros in front. */
const tricky = fc
  .tuple(fc.constantFrom("", "a", "a-", "a0", "0", "1"), fc.nat(12), fc.constantFrom("", "0", "00"))
  .map(([prefix, number, zeros]) => `${prefix}${zeros}${number}`);
const anyId = fc.oneof(tricky, fc.string({ minLength: 1, maxLength: 64 }), fc.stringMatching(/^\d{1,40}$/));

test("an id is remembered exactly when it was taken, whatever it looks like", () => {
  fc.assert(
    fc.property(fc.array(anyId, { maxLength: 60 }), fc.array(anyId, { maxLength: 60 }), (taken, others) => {
      const memory = taken.reduce<EventMemory>((before, id) => remember(before, id, START), EMPTY);
      const all = new Set(taken);
      for (const id of [...taken, ...others]) expect([id, hasSeen(memory, id)]).toEqual([id, all.has(id)]);
    }),
    { numRuns: 500 },
  );
});

test("the numbered ids of one sender are one range, in whatever order they come", () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(
        Array.from({ length: 50 }, (_, n) => n + 1),
        { minLength: 50 },
      ),
      (numbers) => {
        const memory = numbers.reduce<EventMemory>((before, n) => remember(before, `web-${n}`, START), EMPTY);
        expect(memory.seen).toEqual([["web-", 1, 50, 0]]);
      },
    ),
  );
});

test("an id is remembered for five minutes, and forgotten later when 64 others came after it", () => {
  let memory = remember(EMPTY, "first-x", START);
  let at = START;
  for (let n = 0; n < 100; n++) memory = remember(memory, `other-${n}-x`, (at += 2_999));
  expect(hasSeen(memory, "first-x")).toBe(true);
  memory = remember(memory, "late-x", at + 1_000);
  expect(hasSeen(memory, "first-x")).toBe(false);
  expect(memory.seen).toHaveLength(101);
});

test("a host whose clock is an hour ahead forgets nothing", () => {
  let memory = EMPTY;
  for (let n = 0; n < 200; n++) memory = remember(memory, `id-${n}-x`, START);
  for (let n = 0; n < 4; n++) memory = remember(memory, `later-${n}-x`, START + (n + 1) * 3_600_000);
  expect(hasSeen(memory, "id-0-x")).toBe(true);
});

test("no id is forgotten before its time to make room: a further one has none", () => {
  const memory: EventMemory = {
    seen: Array.from({ length: eventMemory.most }, (_, n) => [`${n}-x`, -1, -1, 0] as const),
    seenAge: [0, START],
  };
  expect(hasRoomFor(memory, "one more", START)).toBe(false);
  expect(hasRoomFor(memory, "one more", START + 60_000)).toBe(false);
  expect(hasRoomFor(remember(memory, "numbered-1", START), "numbered-2", START)).toBe(false);
  let later = memory;
  for (let n = 1; n <= 6; n++) later = remember(later, "same", START + n * 60_000);
  expect(hasRoomFor(later, "one more", START + 360_000)).toBe(true);
});

test("the ids in a record of an older version are remembered, too", () => {
  const old: EventMemory = { seen: ["x7", "abc"] };
  expect([hasSeen(old, "x7"), hasSeen(old, "abc"), hasSeen(old, "x8")]).toEqual([true, true, false]);
  const memory = remember(old, "x8", START);
  expect(memory.seen).toEqual([
    ["abc", -1, -1, 0],
    ["x", 7, 8, 0],
  ]);
});
