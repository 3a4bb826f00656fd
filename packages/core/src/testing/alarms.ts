import assert from "node:assert/strict";

import type { Alarm } from "../ports/alarms.ts";
import type { Ports } from "../ports/ports.ts";
import { Heard, bytes, text, within } from "./suite.ts";
import type { Suite, TestApi } from "./suite.ts";

interface Call {
  readonly key: string;
  readonly data: string | undefined;
  readonly dueAt: number;
}

const callOf = ({ key, data, dueAt }: Alarm): Call => ({ key, data: text(data), dueAt });

/** Listens and resolves at once for every alarm. */
async function listen({ alarms }: Ports, heard: Heard<Call>): Promise<{ stop(): void }> {
  return alarms.listen(async (alarm) => heard.hear(callOf(alarm)));
}

/** Sets an alarm that only says that its time has come: what was due before has gone off by then. */
async function waitUntil({ alarms }: Ports, heard: Heard<Call>, dueAt: number): Promise<void> {
  const key = `stopwatch-${dueAt}`;
  await alarms.set(key, dueAt, bytes(""));
  await heard.until((all) => all.some((call) => call.key === key));
}

const isStopwatch = (key: string): boolean => key.startsWith("stopwatch");
const keysOf = (calls: readonly Call[]): readonly string[] =>
  calls.map((call) => call.key).filter((key) => !isStopwatch(key));

/** The laws of {@link AlarmStore}. */
export function describeAlarmStore({ describe, test }: TestApi, suite: Suite): void {
  describe("alarm store", () => {
    test("an alarm goes off with what it was set with, and not before its time by the server's clock", () =>
      within(suite, async (connect) => {
        const [setter, listener] = [await connect(), await connect()];
        const heard = new Heard<Call & { readonly at: number }>();
        const watch = await listener.alarms.listen(async (alarm) =>
          heard.hear({ ...callOf(alarm), at: await listener.records.time() }),
        );
        const now = await setter.records.time();

        for (const ms of [700, 0, 150]) await setter.alarms.set(`a${ms}`, now + ms, bytes(`data ${ms}`));
        const calls = await heard.until((all) => all.length === 3);

        const told = calls.map(({ key, data, dueAt }) => ({ key, data, dueAt })).sort((a, b) => a.dueAt - b.dueAt);
        assert.deepEqual(
          told,
          [0, 150, 700].map((ms) => ({ key: `a${ms}`, data: `data ${ms}`, dueAt: now + ms })),
        );
        for (const { key, at, dueAt } of calls) assert.ok(at >= dueAt, `${key} went off ${dueAt - at} ms early`);
        watch.stop();
      }));

    test("an alarm of long ago goes off at once, bytes and all", () =>
      within(suite, async (connect) => {
        const ports = await connect();
        const heard = new Heard<Alarm>();
        const watch = await ports.alarms.listen(async (alarm) => heard.hear(alarm));
        const data = Uint8Array.from({ length: 256 }, (_, index) => index);

        await ports.alarms.set("A_z=0-9", 0, data);
        const [alarm] = await heard.until((all) => all.length > 0);

        assert.deepEqual({ ...alarm, data: [...(alarm?.data ?? [])] }, { key: "A_z=0-9", dueAt: 0, data: [...data] });
        watch.stop();
      }));

    test("what goes off while nobody listens is heard by who comes", () =>
      within(suite, async (connect) => {
        const [setter, late] = [await connect(), await connect()];
        const early = new Heard<Call>();
        (await listen(late, early)).stop();
        const heard = new Heard<Call>();

        await setter.alarms.set("patient", 0, bytes("p"));
        const watch = await listen(late, heard);
        await heard.until((all) => all.length > 0);

        assert.deepEqual([early.items, keysOf(heard.items)], [[], ["patient"]]);
        watch.stop();
      }));

    test("of the alarms set under a key the last counts, and one that is taken back is not heard", () =>
      within(suite, async (connect) => {
        const [setter, other] = [await connect(), await connect()];
        const heard = new Heard<Call>();
        const now = await setter.records.time();
        const soon = now + 1_500;

        await setter.alarms.set("put-off", soon, bytes("old"));
        await setter.alarms.set("brought-forward", now + 60_000, bytes("old"));
        await setter.alarms.set("cancelled", soon, bytes("old"));
        await other.alarms.set("put-off", now + 60_000, bytes("new"));
        await other.alarms.set("brought-forward", now, bytes("new"));
        await other.alarms.cancel("cancelled");
        await other.alarms.cancel("never-set");
        const watch = await listen(other, heard);
        await waitUntil(setter, heard, soon + 300);

        const calls = heard.items.filter(({ key }) => !isStopwatch(key));
        assert.deepEqual(calls, [{ key: "brought-forward", data: "new", dueAt: now }]);
        watch.stop();
      }));

    test("an alarm that is set again in the moment when the one before goes off is not lost with it", () =>
      within(suite, async (connect) => {
        const { alarms, records } = await connect();
        const keys = Array.from({ length: 400 }, (_, index) => `key-${index}`);
        const heard = new Heard<Call>();
        const watch = await alarms.listen(async (alarm) => heard.hear(callOf(alarm)));
        const dueAt = (await records.time()) + 300;
        const setAll = async (data: string): Promise<unknown> =>
          Promise.all(keys.map((key) => alarms.set(key, dueAt, bytes(data))));

        for (let round = 0; heard.items.length === 0; round++) await setAll(`round ${round}`);
        await setAll("last");
        await heard.until(
          (all) => new Set(all.filter(({ data }) => data === "last").map(({ key }) => key)).size === keys.length,
        );

        assert.deepEqual(new Set(keysOf(heard.items)), new Set(keys));
        watch.stop();
      }));

    test("each alarm is heard by one of all who listen, and not again once that one has resolved", () =>
      within(suite, async (connect) => {
        const processes = [await connect(), await connect(), await connect()];
        const [setter] = processes as [Ports];
        const heard = new Heard<Call>();
        const watches = await Promise.all(processes.map((ports) => listen(ports, heard)));
        const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`);
        const now = await setter.records.time();

        await Promise.all(keys.map((key) => setter.alarms.set(key, now, bytes(key))));
        await heard.until((all) => keysOf(all).length >= keys.length);
        await waitUntil(setter, heard, (await setter.records.time()) + 300);

        assert.deepEqual([...keysOf(heard.items)].sort(), [...keys].sort());
        for (const watch of watches) watch.stop();
      }));

    test("an alarm whose handler rejects is heard again after a pause, until one resolves", () =>
      within(suite, async (connect) => {
        const { alarms, records } = await connect();
        const heard = new Heard<Call & { readonly at: number }>();
        const watch = await alarms.listen(async (alarm) => {
          heard.hear({ ...callOf(alarm), at: await records.time() });
          if (heard.items.length < 3) throw new Error("not yet");
        });

        await alarms.set("stubborn", 0, bytes("s"));
        const [first, second, third] = await heard.until((all) => all.length === 3);
        await alarms.set("other", 0, bytes("o"));
        await heard.until((all) => all.some(({ key }) => key === "other"));

        assert.deepEqual(keysOf(heard.items), ["stubborn", "stubborn", "stubborn", "other"]);
        assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 200, "the second try came without a pause");
        assert.ok((third?.at ?? 0) - (second?.at ?? 0) >= 400, "the pause did not grow");
        watch.stop();
      }));

    test("an alarm that nobody could handle can be taken back, or set anew", () =>
      within(suite, async (connect) => {
        const ports = await connect();
        const { alarms, records } = ports;
        const failed = new Heard<Call>();
        const failing = await alarms.listen(async (alarm) => {
          failed.hear(callOf(alarm));
          throw new Error("never");
        });
        await alarms.set("taken-back", 0, bytes("old"));
        await alarms.set("set-anew", 0, bytes("old"));
        await failed.until((all) => new Set(keysOf(all)).size === 2);
        failing.stop();

        await alarms.cancel("taken-back");
        await alarms.set("set-anew", 0, bytes("new"));
        const heard = new Heard<Call>();
        const watch = await listen(ports, heard);
        await waitUntil(ports, heard, (await records.time()) + 700);

        assert.deepEqual(
          heard.items.filter(({ key }) => !isStopwatch(key)),
          [{ key: "set-anew", data: "new", dueAt: 0 }],
        );
        watch.stop();
      }));

    test("while a handler has an alarm no other gets it, and others' alarms are not held up", () =>
      within(suite, async (connect) => {
        const [one, two] = [await connect(), await connect()];
        const heard = new Heard<Call>();
        const { promise: released, resolve: release } = Promise.withResolvers<void>();
        const watches = await Promise.all(
          [one, two].map(({ alarms }) =>
            alarms.listen(async (alarm) => {
              heard.hear(callOf(alarm));
              if (alarm.key === "slow") await released;
            }),
          ),
        );

        await one.alarms.set("slow", 0, bytes(""));
        await heard.until((all) => all.length > 0);
        await waitUntil(one, heard, (await one.records.time()) + 300);
        release();

        assert.deepEqual(keysOf(heard.items), ["slow"]);
        for (const watch of watches) watch.stop();
      }));

    test("a handler can set the next alarm of its key", () =>
      within(suite, async (connect) => {
        const { alarms } = await connect();
        const heard = new Heard<Call>();
        const watch = await alarms.listen(async (alarm) => {
          heard.hear(callOf(alarm));
          const count = Number(text(alarm.data));
          if (count < 4) await alarms.set(alarm.key, alarm.dueAt + 1, bytes(String(count + 1)));
        });

        await alarms.set("chain", 1, bytes("1"));
        await heard.until((all) => all.some((call) => call.data === "4"));

        assert.deepEqual(
          heard.items.map(({ data, dueAt }) => `${data} ${dueAt}`),
          ["1 1", "2 2", "3 3", "4 4"],
        );
        watch.stop();
      }));

    test("who has stopped hears nothing more, and the others all of it", () =>
      within(suite, async (connect) => {
        const [one, two] = [await connect(), await connect()];
        const [gone, heard] = [new Heard<Call>(), new Heard<Call>()];
        const [stopping, watch] = [await listen(one, gone), await listen(two, heard)];
        const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);

        stopping.stop();
        await Promise.all(keys.map((key) => one.alarms.set(key, 0, bytes(""))));
        await heard.until((all) => all.length === keys.length);

        assert.deepEqual(gone.items, []);
        assert.deepEqual([...keysOf(heard.items)].sort(), [...keys].sort());
        watch.stop();
      }));

    test("what cannot be an alarm is refused with its field's name", () =>
      within(suite, async (connect) => {
        const { alarms, bus } = await connect();
        const refused = (attempt: Promise<void>, code: string, field: RegExp): Promise<void> =>
          assert.rejects(
            attempt,
            (error: Error & { code?: string }) => error.code === code && field.test(error.message),
          );

        for (const key of ["", "a.b", "a b", "*", ">", "ü", "k".repeat(201)]) {
          await refused(alarms.set(key, 0, bytes("")), "INVALID_OPTION", /key/);
          await refused(alarms.cancel(key), "INVALID_OPTION", /key/);
        }
        for (const dueAt of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 1e15])
          await refused(alarms.set("key", dueAt, bytes("")), "INVALID_OPTION", /dueAt/);
        await refused(alarms.set("key", 0, new Uint8Array(bus.maxMessageBytes)), "PAYLOAD_TOO_LARGE", /data/);
        await alarms.set("k".repeat(200), 9_223_372_036_854, new Uint8Array(bus.maxMessageBytes - 2_048));
        await alarms.cancel("k".repeat(200));
      }));
  });
}
