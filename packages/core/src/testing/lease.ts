import assert from "node:assert/strict";

import type { Session } from "../ports/lease.ts";
import { Heard, assertInOrder, bytes, text, within } from "./suite.ts";
import type { Suite, TestApi } from "./suite.ts";

/** The laws of {@link LeaseStore} as tests. */
export function describeLeaseStore({ describe, test }: TestApi, suite: Suite): void {
  describe("lease store", () => {
    test("a watcher hears who is there, then who comes", () =>
      within(suite, async (connect) => {
        const [first, second] = [await connect(), await connect()];
        await first.leases.renew("node-1", bytes("one"), 60_000);
        const heard = new Heard<Session>();

        const watch = await second.leases.watch(heard.hear);
        assert.deepEqual(
          heard.items.map((session) => [session.id, text(session.data)]),
          [["node-1", "one"]],
        );
        await first.leases.renew("node-2", bytes("two"), 60_000);
        await heard.until((all) => all.some((session) => session.id === "node-2" && text(session.data) === "two"));
        watch.stop();
      }));

    test("a watch of nothing resolves at once", () =>
      within(suite, async (connect) => {
        const { leases } = await connect();
        const heard = new Heard<Session>();

        (await leases.watch(heard.hear)).stop();

        assert.deepEqual(heard.items, []);
      }));

    test("a session that is not renewed ends by the server's clock, and every watcher hears it", () =>
      within(suite, async (connect) => {
        const [holder, other] = [await connect(), await connect()];
        const [own, others] = [new Heard<Session>(), new Heard<Session>()];
        const watches = [await holder.leases.watch(own.hear), await other.leases.watch(others.hear)];

        await holder.leases.renew("short", bytes("s"), 1_000);
        await holder.leases.renew("long", bytes("l"), 60_000);
        const isShortEnded = (all: readonly Session[]): boolean =>
          all.some((session) => session.id === "short" && session.data === undefined);
        await Promise.all([own.until(isShortEnded), others.until(isShortEnded)]);

        assert.equal(
          own.items.some((session) => session.id === "long" && session.data === undefined),
          false,
        );
        for (const watch of watches) watch.stop();
      }));

    test("a renewed session outlives its first time to live", () =>
      within(suite, async (connect) => {
        const { leases } = await connect();
        const heard = new Heard<Session>();
        const watch = await leases.watch(heard.hear);
        await leases.renew("kept", bytes("1"), 1_000);
        await leases.renew("measure", bytes(""), 1_000);

        await leases.renew("kept", bytes("2"), 60_000);
        await heard.until((all) => all.some((session) => session.id === "measure" && session.data === undefined));

        const kept = heard.items.filter((session) => session.id === "kept").map((session) => text(session.data));
        assert.equal(kept.at(-1), "2");
        assert.equal(kept.includes(text(undefined)), false);
        watch.stop();
      }));

    test("a session ends when its holder or a witness says so, and a second time nothing happens", () =>
      within(suite, async (connect) => {
        const [holder, witness] = [await connect(), await connect()];
        const heard = new Heard<Session>();
        const watch = await witness.leases.watch(heard.hear);
        await holder.leases.renew("dead", bytes("d"), 60_000);

        await witness.leases.end("dead");
        await witness.leases.end("dead");
        await witness.leases.end("never-was");
        await holder.leases.renew("mark", bytes("m"), 60_000);
        await heard.until((all) => all.some((session) => session.id === "mark"));

        const live = new Map(heard.items.map((session) => [session.id, session.data !== undefined]));
        assert.equal(live.get("dead"), false);
        assert.equal(live.get("mark"), true);
        assert.notEqual(live.get("never-was"), true);
        watch.stop();
      }));

    test("revisions of a session grow", () =>
      within(suite, async (connect) => {
        const { leases } = await connect();
        const heard = new Heard<Session>();
        const watch = await leases.watch(heard.hear);

        // A watcher may receive only the last of several renewals in quick succession.
        for (const data of ["1", "2", "3"]) {
          await leases.renew("growing", bytes(data), 60_000);
          await heard.until((all) => all.some((session) => text(session.data) === data));
        }
        const { items } = heard;

        assertInOrder(
          items.map((session) => text(session.data)),
          ["1", "2", "3"],
        );
        const revisions = items.map((session) => session.revision);
        assert.deepEqual(
          revisions,
          [...revisions].sort((a, b) => a - b),
        );
        assert.equal(new Set(revisions).size, 3);
        watch.stop();
      }));

    test("a shard's mark is the last that was written", () =>
      within(suite, async (connect) => {
        const [writer, reader] = [await connect(), await connect()];
        assert.equal(await reader.leases.readMark(5), undefined);

        await writer.leases.writeMark(5, bytes("a"));
        await writer.leases.writeMark(5, bytes("b"));
        await writer.leases.writeMark(6, bytes("c"));

        assert.equal(text(await reader.leases.readMark(5)), "b");
        assert.equal(text(await reader.leases.readMark(6)), "c");
      }));

    test("everybody who decides gets the same answer", () =>
      within(suite, async (connect) => {
        const processes = [await connect(), await connect(), await connect()];

        const answers = await Promise.all(
          processes.map(({ leases }, index) => leases.decide("question", `answer-${index}`, 60_000)),
        );

        assert.equal(new Set(answers).size, 1);
        assert.equal(await processes[0]?.leases.decide("question", "late", 60_000), answers[0]);
        assert.equal(await processes[0]?.leases.decide("other", "own", 60_000), "own");
      }));

    test("what was decided may be decided anew once its time is over", () =>
      within(suite, async (connect) => {
        const { leases } = await connect();
        const heard = new Heard<Session>();
        const watch = await leases.watch(heard.hear);
        await leases.decide("question", "first", 1_000);

        // A lease of two seconds serves as the clock here.
        await leases.renew("stopwatch", bytes(""), 2_000);
        await heard.until((all) => all.some((session) => session.data === undefined));

        assert.equal(await leases.decide("question", "second", 60_000), "second");
        assert.equal(await leases.decide("question", "third", 60_000), "second");
        watch.stop();
      }));
  });
}
