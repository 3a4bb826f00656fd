import { isoTime } from "../base/clock.ts";
import { ErgonError } from "../base/errors.ts";
import { createIdFactory } from "../base/id.ts";
import { systemRandom } from "../base/random.ts";
import { ALARM_ACK_MS, alarmPauseMs, requireAlarm, requireAlarmKey } from "../ports/alarms.ts";
import type { AlarmStore } from "../ports/alarms.ts";
import type { Names } from "../wire/subjects.ts";
import type { NatsLink } from "./connection.ts";
import { apiFailure, isNameInUse, isStreamMissing, unreachable } from "./errors.ts";
import { publishStored } from "./keys.ts";
import { pull } from "./pull.ts";

const CONSUMER = "listeners";
const NANOS_PER_MS = 1_000_000;
/** Alarms in handlers of one process. */
const ROOM = 500;
/** Alarms in handlers of all processes, those included that wait for their next try: failing ones must not hold up the others. */
const MAX_OUT = 50_000;

interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: string;
  readonly allow_msg_schedules?: boolean;
}

/**
 * Alarms as message schedules (NATS ADR-51) in a stream of their own, which is created when it is first needed. An alarm that goes off
 * is moved by the server from one subject to another, and is gone once a listener has acknowledged it.
 */
export function createNatsAlarms(link: NatsLink, names: Names, replicas: number): AlarmStore {
  const { api } = link;
  const stream = names.alarmStream;
  const newId = createIdFactory(systemRandom);
  let ready: Promise<void> | undefined;

  const open = async (): Promise<void> => {
    if (link.status !== "connected") throw unreachable();
    ready ??= ensureStream(link, names, replicas).catch((error: unknown) => {
      ready = undefined;
      throw error;
    });
    return ready;
  };
  const purge = (key: string, before?: number): Promise<unknown> =>
    api.demand(`STREAM.PURGE.${stream}`, {
      filter: names.alarm(key, ">"),
      ...(before === undefined ? {} : { seq: before }),
    });

  return {
    set: async (key, dueAt, data) => {
      requireAlarm({ key, dueAt, data }, link.connection.info?.max_payload ?? Number.POSITIVE_INFINITY);
      await open();
      const rest = `${dueAt}.${newId()}`;
      const what = `setting the alarm ${key}`;
      // A subject of its own: what goes off takes its subject's messages away, and must not take this one with an older one.
      const stored = await publishStored(link, what, names.alarm(key, `set.${rest}`), data, {
        "Nats-Schedule": `@at ${isoTime(dueAt)}`,
        "Nats-Schedule-Target": names.alarm(key, `due.${rest}`),
      });
      if (!stored.ok) throw apiFailure(what, stored.error);
      await purge(key, stored.revision);
    },
    cancel: async (key) => {
      requireAlarmKey(key);
      await open();
      await purge(key);
    },
    listen: async (handler) => {
      await open();
      return pull(link, {
        stream,
        consumer: CONSUMER,
        room: ROOM,
        prepare: () => api.demand(`CONSUMER.CREATE.${stream}.${CONSUMER}`, consumerRequest(names)),
        work: async (message) => handler({ ...names.parseAlarm(message.subject), data: message.data }),
        pauseMs: (failures) => alarmPauseMs(failures, systemRandom()),
      });
    },
  };
}

async function ensureStream({ api }: NatsLink, names: Names, replicas: number): Promise<void> {
  const wanted = {
    name: names.alarmStream,
    subjects: [names.alarm("*", ">")],
    storage: "file",
    // What is set stays until it goes off, what has gone off until it is acknowledged.
    retention: "workqueue",
    num_replicas: replicas,
    // One that went off twice, around a crash of the server, is one.
    max_msgs_per_subject: 1,
    allow_msg_schedules: true,
  };
  const info = await api.ask<{ readonly config: StreamConfig }>(`STREAM.INFO.${wanted.name}`);
  if (info.ok) return requireSuitable(info.value.config, wanted);
  if (isStreamMissing(info.error)) {
    const created = await api.ask(`STREAM.CREATE.${wanted.name}`, wanted);
    if (created.ok) return;
    if (!isNameInUse(created.error)) throw apiFailure(`creating the stream ${wanted.name}`, created.error);
  }
  const standing = await api.demand<{ readonly config: StreamConfig }>(`STREAM.INFO.${wanted.name}`);
  requireSuitable(standing.config, wanted);
}

function requireSuitable(config: StreamConfig, wanted: StreamConfig): void {
  const isSuitable =
    config.allow_msg_schedules === true &&
    config.retention === wanted.retention &&
    config.subjects.join() === wanted.subjects.join();
  if (isSuitable) return;
  throw new ErgonError(
    "terminal",
    "SERVER_UNSUITABLE",
    `the stream ${config.name} exists and is not one of Ergon's: choose another namespace, or remove it`,
  );
}

function consumerRequest(names: Names): object {
  const config = {
    durable_name: CONSUMER,
    name: CONSUMER,
    filter_subject: names.alarm("*", "due.>"),
    deliver_policy: "all",
    ack_policy: "explicit",
    ack_wait: ALARM_ACK_MS * NANOS_PER_MS,
    max_ack_pending: MAX_OUT,
    max_deliver: -1,
  };
  return { stream_name: names.alarmStream, config };
}
