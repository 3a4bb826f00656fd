import { type ListRequest } from "@ergon/core";
import { begin, summarizeTask, taskMachine, type TaskContext } from "@ergon/core/engine";
import { Page, parseListRequest, type PageItem } from "@ergon/node/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const itemOf = (id: string, at: number, live: boolean, resource = ""): PageItem => {
  const spec = { id, driver: "d", payload: Buffer.of(), resource };
  const { state } = begin(taskMachine, { spec, at, chance: 0 }, at);
  return { live, at, view: summarizeTask(state.snapshot.context as TaskContext) };
};
const PLENTY = 1_000_000;
const anyItems = fc
  .uniqueArray(
    fc.record({
      id: fc.stringMatching(/^[a-z]{1,4}$/),
      at: fc.nat({ max: 20 }),
      live: fc.boolean(),
      resource: fc.nat({ max: 2_000 }).map((length) => "x".repeat(length)),
    }),
    { selector: ({ id }) => id, maxLength: 60 },
  )
  .map((raw) => raw.map(({ id, at, live, resource }) => itemOf(id, at, live, resource)));
/** Live before ended, newest first, ties by id (M-1). */
const inOrder = (items: readonly PageItem[]): string[] =>
  items
    .toSorted((a, b) => Number(b.live) - Number(a.live) || b.at - a.at || (a.view.id < b.view.id ? -1 : 1))
    .map(({ view }) => view.id);

/** Follows the cursors to the end; several nodes offer their own items. Throws when a page is larger than it may be, or empty without a need. */
function readAll(nodes: readonly (readonly PageItem[])[], limit: number, mostBytes = PLENTY): string[] {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const request: ListRequest = { all: true, limit, ...(cursor === undefined ? {} : { cursor }) };
    const merged = new Page(request, mostBytes);
    for (const items of nodes) {
      const own = new Page(request, mostBytes);
      for (const item of items) own.offer(item);
      for (const item of own.items()) merged.offer(item);
    }
    const reply = merged.reply();
    const bytes = Buffer.byteLength(JSON.stringify(reply.tasks));
    if (reply.tasks.length > limit || (bytes > mostBytes && reply.tasks.length > 1)) throw new Error("too much");
    if (reply.tasks.length === 0 && cursor !== undefined) throw new Error("a cursor to nothing");
    ids.push(...reply.tasks.map(({ id }) => id));
    cursor = reply.cursor;
  } while (cursor !== undefined && ids.length < 1_000);
  return ids;
}

describe("a list in pages", () => {
  test("a list in pages has a task once that two nodes tell of, since its shard moves at that moment", () => {
    const items = [itemOf("a", 3, true), itemOf("b", 2, true), itemOf("c", 1, false)];

    expect(readAll([items, items.slice(1)], 2)).toEqual(["a", "b", "c"]);
    expect(readAll([items, items], 10)).toEqual(["a", "b", "c"]);
  });

  test("a list in pages has every task once, in the stable order, however it is spread over nodes and pages (M-1)", () => {
    const property = fc.property(
      anyItems,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 20_000 }),
      (items, limit, nodes, mostBytes) => {
        const spread = Array.from({ length: nodes }, (_, node) =>
          items.filter((_item, index) => index % nodes === node),
        );
        return JSON.stringify(readAll(spread, limit, mostBytes)) === JSON.stringify(inOrder(items));
      },
    );
    expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
  });

  test("a list in pages does not depend on the order in which tasks are offered", () => {
    const property = fc.property(
      anyItems,
      fc.integer({ min: 1, max: 20 }),
      (items, limit) =>
        JSON.stringify(readAll([items], limit)) === JSON.stringify(readAll([items.toReversed()], limit)),
    );
    expect(() => fc.assert(property, { numRuns: 100 })).not.toThrow();
  });

  test("a list in pages has no cursor after the last page", () => {
    const page = new Page({ limit: 2 }, PLENTY);
    page.offer(itemOf("a", 2, true));
    expect(page.reply().cursor).toBeUndefined();
    page.offer(itemOf("b", 1, true));
    expect(page.reply().cursor).toBeUndefined();
    page.offer(itemOf("c", 3, true));
    expect(page.reply()).toMatchObject({ tasks: [{ id: "c" }, { id: "a" }], cursor: expect.any(String) as string });
  });

  test("a list in pages is as short as it has to be, and never empty", () => {
    const page = new Page({ limit: 10 }, 5_000);
    for (const [index, id] of ["a", "b", "c", "d"].entries()) page.offer(itemOf(id, index, true, "x".repeat(2_000)));
    expect(page.reply().tasks.map(({ id }) => id)).toEqual(["d", "c"]);

    const narrow = new Page({ limit: 10 }, 100);
    narrow.offer(itemOf("a", 1, true, "x".repeat(2_000)));
    expect(narrow.reply()).toMatchObject({ tasks: [{ id: "a" }] });
    expect(narrow.reply().cursor).toBeUndefined();
  });
});

describe("filters", () => {
  const { state } = begin(
    taskMachine,
    { spec: { id: "t", driver: "mail", payload: Buffer.of(), tags: ["red"], correlationId: "c" }, at: 0, chance: 0 },
    0,
  );
  const task = state.snapshot.context as TaskContext;
  test.each<[ListRequest, string, boolean]>([
    [{}, "scheduled", true],
    [{}, "succeeded", false],
    [{ all: true }, "succeeded", true],
    [{ status: "succeeded" }, "succeeded", true],
    [{ status: "failed" }, "succeeded", false],
    [{ driver: "mail" }, "started", true],
    [{ driver: "post" }, "started", false],
    [{ tag: "red" }, "started", true],
    [{ tag: "blue" }, "started", false],
    [{ correlationId: "c" }, "started", true],
    [{ correlationId: "d" }, "started", false],
  ])("%j and a task that is %s: %s", (request, status, wanted) => {
    expect(new Page(request, PLENTY).wants(task, status)).toBe(wanted);
  });
});

describe("a list request", () => {
  test.each([
    [[], "INVALID_BODY"],
    [null, "INVALID_BODY"],
    [{ limit: 0 }, "INVALID_OPTION"],
    [{ limit: 1_001 }, "INVALID_OPTION"],
    [{ limit: 1.5 }, "INVALID_OPTION"],
    [{ driver: 5 }, "INVALID_OPTION"],
    [{ all: "yes" }, "INVALID_OPTION"],
    [{ status: "done" }, "INVALID_OPTION"],
    [{ status: "" }, "INVALID_OPTION"],
    [{ colour: "red" }, "UNKNOWN_OPTION"],
  ])("%j is refused as %s", (body, code) => {
    expect(() => parseListRequest(body)).toThrow(expect.objectContaining({ code }) as Error);
  });

  test("a list request with an unknown status is answered with the known ones", () => {
    expect(() => parseListRequest({ status: "done" })).toThrow(
      "status: must be one of scheduled, started, retrying, succeeded, failed, cancelled",
    );
  });

  test.each(["", "x", "e30", Buffer.from("[2,1,3]").toString("base64url")])(
    "cursor %j, which no reply gave, is refused",
    (cursor) => {
      expect(() => new Page(parseListRequest({ cursor }), PLENTY)).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION" }) as Error,
      );
    },
  );
});
