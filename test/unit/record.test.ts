import { type SparseTaskOptions } from "@ergon/core";
import {
  RECORD_VERSION,
  begin,
  createMachineRegistry,
  decodeFields,
  decodeRecord,
  encodeBody,
  encodeRecord,
  MSGPACK_TYPE,
  step,
  taskMachine,
  type ActorState,
  type TaskEvent,
} from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { T0, places, specOf, type Place } from "../support/task-subject.ts";

const machines = createMachineRegistry([taskMachine]);

function decoded(data: Uint8Array): { state: ActorState; rest: unknown } {
  const record = decodeRecord(data, machines);
  if (record.kind === "unreadable") throw new Error(record.reason);
  return record;
}

const fieldsOf = (state: ActorState): Record<string, unknown> => {
  const { status, value, context } = state.snapshot;
  return {
    machine: "task",
    version: "1",
    snapshot: { status, value, context },
    timers: state.timers.map(({ id, due }) => [id, due]),
  };
};
const withVersion = (version: number, body: Uint8Array): Buffer => Buffer.concat([Buffer.of(version), body]);
const packed = (value: unknown): Buffer => withVersion(RECORD_VERSION, encodeBody(value, MSGPACK_TYPE));
const { state: ready } = places.ready();

describe("a record", () => {
  test.for(Object.keys(places) as Place[])(
    "a record of a %s task comes back as it was written, and the task continues from there",
    (place) => {
      const { state } = places[place]();

      const { state: back } = decoded(encodeRecord(taskMachine, state));

      expect(back.snapshot.value).toEqual(state.snapshot.value);
      expect(back.snapshot.status).toBe(state.snapshot.status);
      expect(JSON.stringify(back.snapshot.context)).toBe(JSON.stringify(state.snapshot.context));
      expect(back.timers).toEqual(state.timers);
      const event = { type: "cancel", by: "me", reason: "", at: T0 + 5_000, chance: 0 } as TaskEvent;
      const [one, other] = [state, back].map((from) => step(taskMachine, from, event).state.snapshot.value);
      expect(other).toEqual(one);
    },
  );

  test("a record keeps a payload byte for byte", () => {
    expect(() =>
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 2_000 }), (payload) => {
          const { state } = begin(taskMachine, { spec: specOf({}, { payload }), at: T0, chance: 0 }, T0);
          const { payload: back } = decoded(encodeRecord(taskMachine, state)).state.snapshot.context as {
            payload: Uint8Array;
          };
          return Buffer.compare(back, payload) === 0;
        }),
      ),
    ).not.toThrow();
  });

  test("a record keeps any spec", () => {
    const text = fc.string({ maxLength: 50 });
    const anySpec = fc.record(
      {
        contentType: text,
        correlationId: text,
        resource: text,
        // Refused by its name when a task is submitted: decoders rename it.
        arguments: fc.dictionary(
          text.filter((name) => name !== "__proto__"),
          text,
        ),
        tags: fc.array(text, { maxLength: 5 }),
        notBefore: fc.nat(),
        origin: fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/),
        options: fc.record(
          { priority: fc.nat({ max: 9 }), maxLost: fc.nat() },
          { requiredKeys: [] },
        ) as fc.Arbitrary<SparseTaskOptions>,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(anySpec, (more) => {
        const { state } = begin(taskMachine, { spec: specOf({}, more), at: T0, chance: 0 }, T0);
        const back = decoded(encodeRecord(taskMachine, state)).state.snapshot.context;
        expect(back).toEqual(
          JSON.parse(JSON.stringify(state.snapshot.context), (key, value: unknown) =>
            key === "payload" ? state.snapshot.context.payload : value,
          ),
        );
      }),
    );
  });

  test("a record keeps fields that this version does not know (M-13)", () => {
    const future = { ...fieldsOf(ready), colour: "red", nested: { deep: [1, 2] } };

    const { state, rest } = decoded(packed(future));

    expect(rest).toEqual({ colour: "red", nested: { deep: [1, 2] } });
    const again = decoded(encodeRecord(taskMachine, state, rest as Record<string, unknown>));
    expect(again.rest).toEqual(rest);
  });

  test("a record keeps unknown fields of the task itself (M-13)", () => {
    const fields = fieldsOf(ready);
    const snapshot = fields["snapshot"] as { context: object };
    const future = { ...fields, snapshot: { ...snapshot, context: { ...snapshot.context, quota: 7 } } };
    expect(decoded(encodeRecord(taskMachine, decoded(packed(future)).state)).state.snapshot.context).toMatchObject({
      quota: 7,
    });
  });

  test("a record keeps a timer whose event is more than its name", () => {
    const timers = [{ id: "t", due: 5, event: { type: "wake", data: { a: 1 } } }];
    expect(decoded(encodeRecord(taskMachine, { ...ready, timers })).state.timers).toEqual(timers);
  });
});

describe("an unreadable record is set aside with a reason (B-21, M-13)", () => {
  const snapshot = fieldsOf(ready)["snapshot"] as object;
  test.each([
    ["nothing", Buffer.of(), "record version missing is not known here"],
    [
      "another version byte",
      withVersion(2, encodeBody(fieldsOf(ready), MSGPACK_TYPE)),
      "record version 2 is not known here",
    ],
    ["no MessagePack", withVersion(RECORD_VERSION, Buffer.from([0x92, 1])), "not MessagePack"],
    ["a cut record", encodeRecord(taskMachine, ready).subarray(0, 40), "not MessagePack"],
    ["no map", packed([1, 2]), "not a map"],
    ["no machine", packed({ ...fieldsOf(ready), machine: 7 }), "no machine or version"],
    ["an unknown machine", packed({ ...fieldsOf(ready), machine: "plan" }), "machine plan@1 is not known here"],
    ["an unknown machine version", packed({ ...fieldsOf(ready), version: "2" }), "machine task@2 is not known here"],
    ["no snapshot", packed({ ...fieldsOf(ready), snapshot: undefined }), "no snapshot"],
    ["no context", packed({ ...fieldsOf(ready), snapshot: { ...snapshot, context: "x" } }), "no snapshot"],
    [
      "an unknown state",
      packed({ ...fieldsOf(ready), snapshot: { ...snapshot, value: { live: "paused" } } }),
      "its state does not fit the machine",
    ],
    ["a timer of another form", packed({ ...fieldsOf(ready), timers: [{ id: 1 }] }), "a timer cannot be read"],
    ["a timer without a time", packed({ ...fieldsOf(ready), timers: [["t", "soon"]] }), "a timer cannot be read"],
  ])("%s", (_, data, reason) => {
    const record = decodeRecord(data, machines);
    expect(record.kind).toBe("unreadable");
    expect((record as { reason: string }).reason).toContain(reason);
  });

  test("no bytes make the reader throw", () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => withVersion(RECORD_VERSION, bytes)),
      fc.jsonValue().map((value) => packed(value)),
    );
    const flipped = fc.tuple(fc.nat(), fc.nat({ max: 255 })).map(([at, byte]) => {
      const data = Buffer.from(encodeRecord(taskMachine, ready));
      data[at % data.length] = byte;
      return data;
    });
    expect(() =>
      fc.assert(
        fc.property(fc.oneof(anyBytes, flipped), (data) => {
          const record = decodeRecord(data, machines);
          const fields = decodeFields(data);
          return ["readable", "unreadable"].includes(record.kind) && typeof fields === "object";
        }),
        { numRuns: 2_000 },
      ),
    ).not.toThrow();
  });
});
