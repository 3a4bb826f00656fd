import assert from "node:assert/strict";

import type { ClaimResult, CommitResult, Fence, Ownership, RecordStore, StoredRecord, Write } from "../ports/store.ts";
import { Heard, assertInOrder, bytes, text, within } from "./suite.ts";
import type { Suite, TestApi } from "./suite.ts";

const fenceOf = (result: ClaimResult): Fence => {
  assert.equal(result.kind, "claimed");
  return result.kind === "claimed" ? result.fence : 0;
};

/** Claims a shard for `session` from any owner. */
async function take(records: RecordStore, shard: number, session: string): Promise<Fence> {
  const { fence } = await records.owner(shard);
  return fenceOf(await records.claim(shard, session, fence));
}

const write = (shard: number, id: string, data: string, fence: Fence, ttlMs?: number): Write => ({
  shard,
  id,
  data: bytes(data),
  fence,
  ttlMs,
});

async function loadAll(
  records: RecordStore,
  shard: number,
  after = 0,
  ids: readonly string[] = [],
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  await records.load([{ shard, after, ids }], (of, record) => {
    assert.equal(of, shard);
    assert.equal(Object.hasOwn(found, record.id), false, `${record.id} is visited twice`);
    found[record.id] = text(record.data) ?? "";
  });
  return found;
}

/** The laws of {@link RecordStore} as tests. */
export function describeRecordStore({ describe, test }: TestApi, suite: Suite): void {
  describe("record store", () => {
    test("what is committed is read by everyone", () =>
      within(suite, async (connect) => {
        const [a, b] = [await connect(), await connect()];
        const fence = await take(a.records, 3, "a");

        const result = await a.records.commit([write(3, "task", "one", fence)]);
        const record = await b.records.read(3, "task");

        assert.equal(result.kind, "committed");
        assert.equal(text(record?.data), "one");
        assert.equal(record?.id, "task");
        assert.equal(record?.revision, result.kind === "committed" ? result.revision : -1);
        assert.equal(await b.records.read(3, "other"), undefined);
        assert.equal(await b.records.read(4, "task"), undefined);
      }));

    test("a probe tells that each bucket takes writes, and is no record of any shard", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        await take(records, 0, "a");
        assert.deepEqual([(await records.probe(0)).kind, await loadAll(records, 0)], ["committed", {}]);
      }));

    test("of many who claim a free shard one gets it", () =>
      within(suite, async (connect) => {
        const processes = [await connect(), await connect(), await connect(), await connect()];

        const results = await Promise.all(
          processes.map(({ records }, index) => records.claim(0, `session-${index}`, 0)),
        );
        const winner = results.findIndex((result) => result.kind === "claimed");

        assert.equal(results.filter((result) => result.kind === "claimed").length, 1);
        const owner = await processes[0]?.records.owner(0);
        assert.deepEqual(owner, {
          shard: 0,
          session: `session-${winner}`,
          fence: fenceOf(results[winner] as ClaimResult),
        });
      }));

    test("a shard that was never owned has no owner and fence 0", () =>
      within(suite, async (connect) => {
        const { records } = await connect();

        assert.deepEqual(await records.owner(9), { shard: 9, session: undefined, fence: 0 });
      }));

    test("a released shard has no owner, and its fence is another", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 1, "a");

        const released = fenceOf(await records.claim(1, undefined, fence));

        assert.deepEqual(await records.owner(1), { shard: 1, session: undefined, fence: released });
        assert.ok(released > fence);
        assert.deepEqual(await records.commit([write(1, "late", "x", fence)]), { kind: "fenced" });
      }));

    test("a stale owner cannot commit, and leaves no trace (I-2, M-6, T-61)", () =>
      within(suite, async (connect) => {
        const [former, next] = [await connect(), await connect()];
        const old = await take(former.records, 2, "former");
        await former.records.commit([write(2, "kept", "before", old)]);
        const fence = await take(next.records, 2, "next");

        assert.deepEqual(await former.records.commit([write(2, "kept", "after", old)]), { kind: "fenced" });
        assert.deepEqual(await former.records.commit([write(2, "new", "x", old)]), { kind: "fenced" });
        assert.deepEqual(await former.records.commit([write(2, "a", "x", old), write(2, "b", "x", old)]), {
          kind: "fenced",
        });
        assert.deepEqual(await former.records.claim(2, "former", old), { kind: "lost" });

        assert.deepEqual(await loadAll(next.records, 2), { kept: "before" });
        assert.equal((await next.records.commit([write(2, "kept", "next", fence)])).kind, "committed");
      }));

    test("a commit of many is stored whole, in its order", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fences = new Map<number, Fence>();
        for (const shard of [0, records.buckets, 2 * records.buckets])
          fences.set(shard, await take(records, shard, "a"));
        const writes = Array.from({ length: 120 }, (_, index) => {
          const shard = (index % 3) * records.buckets;
          return write(shard, `task-${index % 40}`, `v${index}`, fences.get(shard) ?? 0);
        });

        const result = await records.commit(writes);

        assert.equal(result.kind, "committed");
        for (const shard of fences.keys()) {
          const expected: Record<string, string> = {};
          for (const one of writes) if (one.shard === shard) expected[one.id] = text(one.data) ?? "";
          assert.deepEqual(await loadAll(records, shard), expected);
        }
        const last = writes.at(-1);
        const record = await records.read(last?.shard ?? 0, last?.id ?? "");
        assert.equal(record?.revision, result.kind === "committed" ? result.revision : -1);
      }));

    test("one stale fence among many refuses the whole commit", () =>
      within(suite, async (connect) => {
        const [a, b] = [await connect(), await connect()];
        const shards = [0, a.records.buckets] as const;
        const good = await take(a.records, shards[0], "a");
        const stale = await take(a.records, shards[1], "a");
        await take(b.records, shards[1], "b");

        const result = await a.records.commit([
          write(shards[0], "x", "1", good),
          write(shards[0], "y", "1", good),
          write(shards[1], "z", "1", stale),
        ]);

        assert.deepEqual(result, { kind: "fenced" });
        assert.deepEqual(await loadAll(a.records, shards[0]), {});
        assert.deepEqual(await loadAll(a.records, shards[1]), {});
      }));

    test("as many writes as maxWrites says go in one commit", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        let fence = await take(records, 0, "a");
        const commit = (): Promise<CommitResult> =>
          records.commit(Array.from({ length: records.maxWrites }, (_, index) => write(0, `t${index}`, "x", fence)));
        let result = await commit();
        // A busy server may not confirm the writes in time. The test then claims the shard again, as its owner would.
        for (; result.kind === "unknown"; result = await commit()) fence = fenceOf(await records.claim(0, "a", fence));

        assert.equal(result.kind, "committed");
        // A replica that lags shows all writes only after the next claim (law 3).
        await records.claim(0, "a", fence);
        assert.equal(Object.keys(await loadAll(records, 0)).length, records.maxWrites);
      }));

    test("a few single writes, and the batch that follows without waiting for them, are stored in their order", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 3, "a");
        if (records.fewSingles === 1) return;
        for (let round = 0; round < 20; round++) {
          const few = [0, 1, 2].map((index) => records.commit([write(3, "key", `${round} ${index}`, fence)]));
          const many = records.commit([
            write(3, "key", `${round} last`, fence),
            write(3, `other-${round}`, "x", fence),
          ]);
          const results = await Promise.all([...few, many]);

          assert.deepEqual(new Set(results.map(({ kind }) => kind)), new Set(["committed"]));
          assert.equal(text((await records.read(3, "key"))?.data), `${round} last`);
        }
      }));

    test("writes of one key are stored in the order of their commits", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 5, "a");
        const revisions: number[] = [];

        if (records.oneInFlight) {
          for (let index = 0; index < 100; index++) {
            const result = await records.commit([write(5, "key", String(index), fence)]);
            if (result.kind === "committed") revisions.push(result.revision);
          }
        } else {
          const pipelined = Array.from({ length: 100 }, (_, index) =>
            records.commit([write(5, "key", String(index), fence)]),
          );
          for (const result of await Promise.all(pipelined))
            if (result.kind === "committed") revisions.push(result.revision);
        }

        assert.equal(revisions.length, 100);
        assert.deepEqual(
          revisions,
          [...revisions].sort((x, y) => x - y),
        );
        assert.equal(text((await records.read(5, "key"))?.data), "99");
      }));

    test("a deleted record is gone for readers and loaders, and may be written again", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 7, "a");
        await records.commit([write(7, "gone", "x", fence), write(7, "kept", "y", fence)]);

        await records.commit([write(7, "gone", "", fence)]);

        assert.equal(await records.read(7, "gone"), undefined);
        assert.deepEqual(await loadAll(records, 7), { kept: "y" });
        await records.commit([write(7, "gone", "again", fence)]);
        assert.equal(text((await records.read(7, "gone"))?.data), "again");
      }));

    test("a record with a time to live is removed by the server, others stay", () =>
      within(suite, async (connect) => {
        const { records, leases } = await connect();
        const fence = await take(records, 8, "a");
        const heard = new Heard<string>();
        const watch = await leases.watch((session) => {
          if (session.data === undefined) heard.hear(session.id);
        });

        await records.commit([
          write(8, "short", "x", fence, 1_000),
          write(8, "long", "y", fence, 3_600_000),
          write(8, "ever", "z", fence),
        ]);
        await records.commit([write(8, "alone", "x", fence, 1_000)]);
        assert.deepEqual(await loadAll(records, 8), { short: "x", long: "y", ever: "z", alone: "x" });
        // A lease of two seconds serves as the clock here. When it has ended, at least one second has passed.
        await leases.renew("stopwatch", bytes(""), 2_000);
        await heard.until((ended) => ended.includes("stopwatch"));

        assert.deepEqual(await loadAll(records, 8), { long: "y", ever: "z" });
        assert.equal(await records.read(8, "short"), undefined);
        watch.stop();
      }));

    test("a record written again without a time to live stays", () =>
      within(suite, async (connect) => {
        const { records, leases } = await connect();
        const fence = await take(records, 8, "a");
        const heard = new Heard<string>();
        const watch = await leases.watch((session) => {
          if (session.data === undefined) heard.hear(session.id);
        });

        await records.commit([write(8, "task", "ended", fence, 1_000)]);
        await records.commit([write(8, "task", "again", fence)]);
        await leases.renew("stopwatch", bytes(""), 2_000);
        await heard.until((ended) => ended.includes("stopwatch"));

        assert.equal(text((await records.read(8, "task"))?.data), "again");
        watch.stop();
      }));

    test("a load visits what was written after a revision, and of older records those that are named", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 4, "a");
        const old = await records.commit(["a", "b", "c"].map((id) => write(4, id, "old", fence)));
        const mark = old.kind === "committed" ? old.revision : 0;
        await records.commit([write(4, "d", "new", fence)]);
        await records.commit([write(4, "b", "new", fence)]);

        assert.deepEqual(await loadAll(records, 4, mark), { b: "new", d: "new" });
        assert.deepEqual(await loadAll(records, 4, mark, ["a", "d", "none"]), { a: "old", b: "new", d: "new" });
        assert.deepEqual(await loadAll(records, 4, mark + 2, ["a"]), { a: "old" });
        assert.deepEqual(await loadAll(records, 4, mark + 1_000_000, ["b"]), { b: "new" });
      }));

    test("a load answers the last revision that it covers: loading from there finds nothing", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const fence = await take(records, 4, "a");
        await records.commit([write(4, "x", "1", fence)]);
        await records.commit([write(4, "y", "1", fence)]);

        const seen: StoredRecord[] = [];
        const covered = await records.load([{ shard: 4, after: 0, ids: [] }], (_, record) => seen.push(record));

        assert.equal(seen.length, 2);
        assert.ok(seen.every((record) => record.revision <= covered));
        assert.deepEqual(await loadAll(records, 4, covered), {});
      }));

    test("a load of nothing ends", () =>
      within(suite, async (connect) => {
        const { records } = await connect();

        assert.deepEqual(await loadAll(records, 6), {});
        assert.deepEqual(await loadAll(records, 6, 0, ["none"]), {});
        await take(records, 6, "a");
        assert.deepEqual(await loadAll(records, 6, 0, ["none"]), {});
        await records.load([], () => assert.fail("there is nothing to visit"));
      }));

    test("one load reads many shards and thousands of records, each once", () =>
      within(suite, async (connect) => {
        const { records } = await connect();
        const shards = Array.from({ length: records.shards }, (_, shard) => shard).filter(
          (shard) => records.bucketOf(shard) === 0,
        );
        const fences = new Map<number, Fence>();
        for (const shard of shards) fences.set(shard, await take(records, shard, "a"));
        const ids = Array.from({ length: 4_000 }, (_, index) => `task-${index}`);
        const all = ids.map((id, index) => {
          const shard = shards[index % shards.length] ?? 0;
          return write(shard, id, `${shard}:${id}`, fences.get(shard) ?? 0);
        });
        for (let start = 0; start < all.length; start += 500) {
          assert.equal((await records.commit(all.slice(start, start + 500))).kind, "committed");
        }

        const seen = new Map<string, string | undefined>();
        await records.load(
          shards.map((shard) => ({ shard, after: 0, ids: ["none"] })),
          (shard, record) => {
            assert.equal(seen.has(record.id), false);
            assert.equal(text(record.data), `${shard}:${record.id}`);
            seen.set(record.id, text(record.data));
          },
        );

        assert.equal(seen.size, ids.length);
        const named = new Set<string>();
        const first = ids.filter((_, index) => index % shards.length === 0);
        await records.load([{ shard: shards[0] ?? 0, after: Number.MAX_SAFE_INTEGER, ids: first }], (_, record) =>
          named.add(record.id),
        );
        assert.deepEqual([...named].sort(), [...first].sort());
      }));

    for (const [share, every] of [
      ["most", 1],
      ["few", 100],
    ] as const) {
      test(`of older records a load visits those that are named and no others, where they are ${share} of what there is`, () =>
        within(suite, async (connect) => {
          const { records } = await connect();
          const fence = await take(records, 4, "a");
          const ids = Array.from({ length: 1_200 }, (_, index) => `old-${index}`);
          for (let start = 0; start < ids.length; start += 400)
            await records.commit(ids.slice(start, start + 400).map((id) => write(4, id, "old", fence)));
          const mark = await records.load([{ shard: 4, after: 0, ids: [] }], () => undefined);
          await records.commit([write(4, "old-100", "new", fence)]);
          await records.commit([write(4, "old-200", "", fence)]);
          await records.commit([write(4, "young", "new", fence)]);

          const named = ids.filter((_, index) => index % every === 0 && index >= 100);
          const expected: Record<string, string> = { "old-100": "new", young: "new" };
          for (const id of named) if (id !== "old-100" && id !== "old-200") expected[id] = "old";
          assert.deepEqual(await loadAll(records, 4, mark, named), expected);
        }));
    }

    test("after a claim, a load sees every write that was stored under the fence before (law 3)", () =>
      within(suite, async (connect) => {
        const [former, next] = [await connect(), await connect()];
        const old = await take(former.records, 2, "former");
        const committed: string[] = [];
        const halfway = new Heard<number>();
        let running = true;
        const writer = (async () => {
          for (let index = 0; running; index++) {
            const result = await former.records.commit([write(2, `task-${index}`, "x", old)]);
            if (result.kind !== "committed") return;
            committed.push(`task-${index}`);
            if (index === 20) halfway.hear(index);
          }
        })();
        await halfway.until((all) => all.length > 0);

        await take(next.records, 2, "next");
        const found = await loadAll(next.records, 2);
        running = false;
        await writer;

        assert.deepEqual(Object.keys(found).sort(), [...committed].sort());
      }));

    test("a watcher of owners hears every owner as it is, then each change", () =>
      within(suite, async (connect) => {
        const [a, b] = [await connect(), await connect()];
        const first = await take(a.records, 0, "a");
        await take(a.records, 63 % a.records.shards, "a");
        const heard = new Heard<Ownership>();

        const watch = await b.records.watchOwners(heard.hear);
        const present = [...heard.items].sort((x, y) => x.shard - y.shard);
        const second = fenceOf(await a.records.claim(0, "c", first));
        const third = fenceOf(await a.records.claim(0, undefined, second));
        await heard.until((all) => all.some((ownership) => ownership.fence === third));

        assert.deepEqual(
          present.map((ownership) => [ownership.shard, ownership.session]),
          [
            [0, "a"],
            [63, "a"],
          ],
        );
        assertInOrder(heard.items.slice(2), [
          { shard: 0, session: "c", fence: second },
          { shard: 0, session: undefined, fence: third },
        ]);
        watch.stop();
      }));

    test("a record that is too large is refused with a code, and the next commit is not disturbed", () =>
      within(suite, async (connect) => {
        const { records, bus } = await connect();
        const fence = await take(records, 0, "a");
        const large: Write = { shard: 0, id: "large", data: new Uint8Array(bus.maxMessageBytes), fence };

        const alone = await records.commit([large]);
        const among = await records.commit([write(0, "small", "x", fence), large]);

        assert.equal(alone.kind === "refused" && alone.code, "PAYLOAD_TOO_LARGE");
        assert.equal(among.kind === "refused" && among.code, "PAYLOAD_TOO_LARGE");
        assert.deepEqual(await loadAll(records, 0), {});
        assert.equal((await records.commit([write(0, "small", "x", fence)])).kind, "committed");
      }));

    test("a commit on a closed connection does not throw", () =>
      within(suite, async (connect) => {
        const process = await connect();
        const fence = await take(process.records, 0, "a");
        await process.close();

        const result = await process.records.commit([write(0, "x", "y", fence)]);

        assert.equal(result.kind === "refused" && result.code, "STORE_UNAVAILABLE");
      }));

    test("the server's time is a time of day that goes on", () =>
      within(suite, async (connect) => {
        const { records } = await connect();

        const first = await records.time();
        const second = await records.time();

        assert.ok(first > Date.UTC(2020, 0, 1) && first < Date.UTC(2200, 0, 1));
        assert.ok(second >= first - 50);
      }));
  });
}
