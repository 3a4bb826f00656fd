import { backoffMs } from "../base/backoff.ts";
import { InvalidError } from "../base/errors.ts";
import type { Watch } from "./store.ts";

/** An alarm that has gone off. */
export interface Alarm {
  readonly key: string;
  readonly data: Uint8Array;
  /** When it was to go off, in epoch milliseconds of the server's clock. */
  readonly dueAt: number;
}

/**
 * Alarms that the server keeps and sets off by its own clock, whoever lives then. Laws:
 *
 * - An alarm never goes off early. How late it is depends on the server: NATS looks four times a second.
 * - An alarm that is set goes off, also when nobody listens at that time (it waits for who does), and across restarts of everything.
 * - An alarm that has gone off is heard at least once: by one of all who listen, and again, by any of them, until a handler has resolved for it.
 * - One handler at a time has an alarm, unless it takes longer than {@link ALARM_ACK_MS}, or its process dies: then it is another's turn.
 * - Of the alarms set under one key the last counts. What was set before is taken back, but may be on its way and heard once more.
 *
 * Throws `UnavailableError`: `STORE_UNAVAILABLE` when there is no answer in time, `STORE_FULL`, `NATS_UNREACHABLE`; and
 * `NOT_PERMITTED`, `SERVER_UNSUITABLE`, as every store does.
 */
export interface AlarmStore {
  /**
   * Sets the alarm `key` to go off at `dueAt` (epoch milliseconds; what is past goes off at once) and takes back an earlier one.
   * Resolves when the server has stored it. When it throws, it may have been set, and the earlier one too: set it again.
   * Throws `INVALID_OPTION` for a key that is not 1 to 200 of `A-Z a-z 0-9 _ = -` or a time that is none, and `PAYLOAD_TOO_LARGE`.
   */
  set(key: string, dueAt: number, data: Uint8Array): Promise<void>;
  /** Takes the alarm back, also when it has gone off and nobody has heard it; one that is on its way may still be heard. Does nothing when it is not set. */
  cancel(key: string): Promise<void>;
  /**
   * Hands each alarm that has gone off to one of all processes that listen. When the handler rejects, it is handed out again after a
   * pause of a quarter of a second, growing to half a minute. Many handlers run at once. Resolves when it listens.
   * After `stop` no more are taken; handlers that run go on.
   */
  listen(handler: (alarm: Alarm) => Promise<void>): Promise<Watch>;
}

/** How long a handler has an alarm to itself, in milliseconds. */
export const ALARM_ACK_MS = 10_000;
/** What subject and headers take of a message with an alarm, at most. */
const ENVELOPE_BYTES = 2_048;

const PAUSES = { initialMs: 250, factor: 2, maxMs: 30_000, jitter: 0.2 } as const;
const KEY = /^[A-Za-z0-9_=-]{1,200}$/;
/** NATS counts nanoseconds in 63 bits: the year 2262. */
const LAST_MS = 9_223_372_036_854;

/** How long until an alarm is handed out again, whose handlers have failed `failures` times. `chance` is a number in [0, 1). */
export function alarmPauseMs(failures: number, chance: number): number {
  return backoffMs(PAUSES, failures, chance);
}

/** Throws `InvalidError` unless `key` may name an alarm. */
export function requireAlarmKey(key: string): void {
  if (KEY.test(key)) return;
  throw new InvalidError(
    "INVALID_OPTION",
    `key ${JSON.stringify(key.slice(0, 210))} of an alarm is not 1 to 200 letters, digits, "_", "=" or "-"`,
  );
}

/** Throws `InvalidError` unless an alarm may be set so, where a message holds `maxMessageBytes`. */
export function requireAlarm(alarm: Alarm, maxMessageBytes: number): void {
  requireAlarmKey(alarm.key);
  if (!Number.isInteger(alarm.dueAt) || alarm.dueAt < 0 || alarm.dueAt > LAST_MS) {
    throw new InvalidError(
      "INVALID_OPTION",
      `dueAt of an alarm is ${alarm.dueAt}; use whole milliseconds since 1970, up to ${LAST_MS}`,
    );
  }
  const largest = maxMessageBytes - ENVELOPE_BYTES;
  if (alarm.data.length <= largest) return;
  throw new InvalidError(
    "PAYLOAD_TOO_LARGE",
    `an alarm's data of ${alarm.data.length} bytes is more than the server takes (${largest})`,
  );
}
