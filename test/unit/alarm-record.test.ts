import { scheduleMachine, silentLogger } from "@ergon/core";
import {
  createMachineRegistry,
  decodeFields,
  decodeRecord,
  encodeRecord,
  machineEngine,
  msgpack,
  type MachineState,
} from "@ergon/core/engine";
import { expect, test } from "vitest";

import { ScheduleSubject } from "../support/schedule-subject.ts";

const T0 = Date.UTC(2026, 0, 1);
const surroundings = { id: "s", logger: silentLogger, onLocal: () => undefined };

/** The record of a schedule as 0.1.0 wrote it: the alarm in its meta, and not yet known to be set. */
function former(state: MachineState): Uint8Array {
  const due = state.timers[0]?.due ?? 0;
  const raw = msgpack.unpack(encodeRecord(scheduleMachine, state).subarray(1)) as { meta: object };
  const outbox = [{ seq: 1, to: "s=2", key: 2, what: { kind: "alarm", dueAt: due } }];
  const old = { ...raw, timers: [], meta: { ...raw.meta, sent: 1, outbox, alarms: { 2: due } } };
  return Buffer.concat([Buffer.from([1]), msgpack.pack(old)]);
}

test("a schedule of 0.1.0, whose alarm was kept by the server, waits for it as a timer of its record", () => {
  const { state } = new ScheduleSubject({ every: "1m", task: { driver: "report" } }, { now: T0 });
  const data = former(state);

  const fields = decodeFields(data);
  const record = decodeRecord(data, createMachineRegistry([scheduleMachine]), surroundings);

  expect("kind" in fields ? fields : fields.timers).toEqual(state.timers);
  if (record.kind !== "readable") throw new Error(record.reason);
  const restored = record.state as MachineState;
  expect(restored.meta.outbox).toEqual([]);
  expect(restored.meta).not.toHaveProperty("alarms");
  const [timer] = restored.timers;
  if (timer === undefined) throw new Error("it waits for nothing");
  const { state: after } = machineEngine.fire(scheduleMachine, restored, timer, { at: timer.due, chance: 0 });
  expect(after.snapshot.context).toMatchObject({ counts: { started: 1, missed: 0 } });
  expect(after.timers).toMatchObject([{ id: "ergon.alarm", due: T0 + 120_000 }]);
});
