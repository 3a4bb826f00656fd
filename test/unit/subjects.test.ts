import { InvalidError } from "@ergon/core";
import { QUEUE, actorVerbs, clusterVerbs, createNames, isName, requireId, requireName } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const names = createNames("shop", "acme");
const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);
const shard = fc.nat({ max: 4_095 });

const hostile = ["", " ", "a b", "a.b", "*", ">", "a*", "ä", "a\nb", "a\u0000", "../x", "a/b", "$SYS", "a:b"];

describe("subjects", () => {
  test("subjects are read back as they were written", () => {
    fc.assert(
      fc.property(shard, fc.constantFrom(...actorVerbs, "admit", "release", "discard"), id, (number, verb, actor) => {
        expect(names.parseShard(names.shard(number, verb, actor))).toEqual({ verb, id: actor, attempt: 0 });
      }),
    );
  });

  test("subjects of answers carry the task and the attempt", () => {
    fc.assert(
      fc.property(shard, id, fc.integer({ min: 1, max: 1e9 }), (number, task, attempt) => {
        expect(names.parseShard(names.reply(number, task, attempt))).toEqual({ verb: "reply", id: task, attempt });
      }),
    );
  });

  test("a subject with an invalid attempt number reads as no attempt of any task", () => {
    expect(names.parseShard("acme.shop.shard.3.reply.t-1.x").attempt).toBeNaN();
    expect(names.parseShard("acme.shop.shard.3.reply.t-1").attempt).toBeNaN();
  });

  test("subjects of two namespaces never overlap", () => {
    const other = createNames("shop2", "acme");
    const all = (of: typeof names): string[] => [
      of.submit("d"),
      of.batch,
      of.verb("get", "x"),
      of.cluster("list"),
      of.shard(1, "get", "x"),
      of.node("n"),
      of.agent("d", "a"),
      of.plainAgent("d"),
      of.control("a"),
      of.presence,
      of.roll,
      of.ownedAll,
      of.recordBucket(0),
      of.leaseBucket,
      of.event("task", "failed", "x"),
    ];
    expect(all(names).filter((subject) => all(other).includes(subject))).toEqual([]);
    expect(all(names).every((subject) => subject.includes("shop"))).toBe(true);
  });

  test("subjects of different things are different", () => {
    const subjects = [
      ...actorVerbs.map((verb) => names.verb(verb, "x")),
      ...clusterVerbs.map((verb) => names.cluster(verb)),
      names.submit("x"),
      names.batch,
      names.node("x"),
      names.nodeVerb("x", "credit"),
      names.plainAgent("x"),
      names.agent("x", "y"),
      names.control("x"),
      names.recorded("x", "y.1"),
      names.presence,
      names.roll,
      names.event("task", "failed", "x"),
      names.owned(1),
      names.shard(1, "get", "x"),
      names.reply(1, "x", 1),
    ];
    expect(new Set(subjects).size).toBe(subjects.length);
    expect(QUEUE).toBe("ergon");
  });
});

describe("names and ids", () => {
  test.each(hostile)("%j is refused wherever a name goes", (text) => {
    expect(isName(text)).toBe(false);
    expect(() => createNames(text)).toThrow(InvalidError);
    expect(() => createNames("default", text)).toThrow(InvalidError);
    expect(() => requireName("driver", text)).toThrow(
      expect.objectContaining({
        code: "INVALID_DRIVER",
        issues: [expect.objectContaining({ field: "driver" })],
      }) as Error,
    );
    expect(() => requireId(text)).toThrow(expect.objectContaining({ code: "INVALID_ID" }) as Error);
  });

  test("any other name is accepted, to 64 characters, any id to 128", () => {
    fc.assert(fc.property(token, (text) => isName(text) && requireName("agent", text) === text));
    fc.assert(fc.property(id, (text) => requireId(text) === text));
    expect(isName("a".repeat(65))).toBe(false);
    expect(() => requireId("a".repeat(129))).toThrow(InvalidError);
  });
});
