import { MAX_TIMER_MS } from "../base/clock.ts";
import type { TimerHandle } from "../base/clock.ts";
import { UnavailableError, messageOf } from "../base/errors.ts";
import { ALARM_ACK_MS, alarmPauseMs, requireAlarm, requireAlarmKey } from "../ports/alarms.ts";
import type { Alarm, AlarmStore } from "../ports/alarms.ts";
import type { Broker } from "./broker.ts";
import type { Interest, Link } from "./link.ts";

/** An alarm at the broker: set, waiting for a listener, or in a handler. */
interface Entry {
  readonly alarm: Alarm;
  /** Handlers that have had it. */
  deliveries: number;
  /** Until it goes off, is handed out again, or its handler's time is up. */
  timer: TimerHandle;
}

/** What listeners are to the broker: subscriptions of a subject that nobody publishes on. */
const SUBJECT = "$ALARMS";

/** The alarms, at the broker. */
export class AlarmState {
  readonly listeners: Map<Interest, (entry: Entry) => void> = new Map();
  readonly #broker: Broker;
  readonly #entries: Map<string, Entry> = new Map();
  /** What has gone off and has no handler. */
  readonly #waiting: Set<Entry> = new Set();

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  /** Why it was not set, or nothing. */
  set(alarm: Alarm): UnavailableError | undefined {
    const { storage } = this.#broker;
    if (storage === "full") return new UnavailableError("STORE_FULL", "the server's storage is full");
    if (storage === "unavailable") return new UnavailableError("STORE_UNAVAILABLE", "the stream has no leader");
    this.cancel(alarm.key);
    const entry: Entry = { alarm, deliveries: 0, timer: undefined };
    this.#entries.set(alarm.key, entry);
    this.#arm(entry);
    return undefined;
  }

  cancel(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Hands what waits to those who listen. */
  handOut(): void {
    const listening = [...this.#broker.interests.match(SUBJECT)];
    if (listening.length === 0) return;
    for (const entry of this.#waiting) {
      const chosen = listening[listening.length === 1 ? 0 : Math.floor(this.#broker.random() * listening.length)];
      if (chosen === undefined) continue;
      this.#waiting.delete(entry);
      entry.deliveries++;
      this.#waitAgain(entry, ALARM_ACK_MS);
      if (this.#broker.strikes("drop")) continue;
      const deliver = this.listeners.get(chosen);
      chosen.link.inbound.send(() => deliver?.(entry));
    }
  }

  acknowledge(entry: Entry): void {
    this.#remove(entry);
  }

  /** The handler has failed: after a pause it is another's turn. */
  handBack(entry: Entry): void {
    if (this.#isKept(entry)) this.#waitAgain(entry, alarmPauseMs(entry.deliveries, this.#broker.random()));
  }

  #arm(entry: Entry): void {
    const leftMs = entry.alarm.dueAt - this.#broker.clock.now();
    // A timer holds so much, and one of the real clock may be a little early: it is armed again then.
    if (leftMs > 0) entry.timer = this.#broker.clock.after(Math.min(leftMs, MAX_TIMER_MS), () => this.#arm(entry));
    else this.#goOff(entry);
  }

  #goOff(entry: Entry): void {
    this.#waiting.add(entry);
    this.handOut();
  }

  #waitAgain(entry: Entry, delayMs: number): void {
    this.#broker.clock.cancel(entry.timer);
    entry.timer = this.#broker.clock.after(delayMs, () => this.#goOff(entry));
  }

  #isKept(entry: Entry): boolean {
    return this.#entries.get(entry.alarm.key) === entry;
  }

  #remove(entry: Entry): void {
    this.#broker.clock.cancel(entry.timer);
    this.#waiting.delete(entry);
    if (this.#isKept(entry)) this.#entries.delete(entry.alarm.key);
  }
}

/** The alarms of a memory network, as one process reaches them. */
export function createMemoryAlarms(link: Link, state: AlarmState): AlarmStore {
  const work = async (entry: Entry, handler: (alarm: Alarm) => Promise<void>): Promise<void> => {
    try {
      await handler({ ...entry.alarm, data: entry.alarm.data.slice() });
      link.send(() => state.acknowledge(entry));
    } catch (error) {
      link.logger.debug({ key: entry.alarm.key, error: messageOf(error) }, "an alarm's handler has failed");
      link.send(() => state.handBack(entry));
    }
  };

  return {
    set: async (key, dueAt, data) => {
      requireAlarm({ key, dueAt, data }, link.broker.maxMessageBytes);
      const alarm = { key, dueAt, data: data.slice() };
      const refusal = await link.call(() => state.set(alarm), true);
      if (refusal !== undefined) throw refusal;
    },
    cancel: async (key) => {
      requireAlarmKey(key);
      await link.call(() => state.cancel(key));
    },
    listen: async (handler) => {
      let stopped = false;
      const interest: Interest = { link, subject: SUBJECT, queue: undefined, deliver: () => undefined };
      state.listeners.set(interest, (entry) => {
        if (stopped) link.send(() => state.handBack(entry));
        else void work(entry, handler);
      });
      link.addInterest(interest);
      link.onStatus((status) => {
        if (status === "connected" && !stopped) link.send(() => state.handOut());
      });
      await link.call(() => state.handOut());
      return {
        stop: () => {
          stopped = true;
          link.removeInterest(interest);
        },
      };
    },
  };
}
