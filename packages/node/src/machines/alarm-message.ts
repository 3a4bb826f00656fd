import {
  InvalidError,
  MSGPACK_TYPE,
  UnavailableError,
  decodeBody,
  encodeBody,
  isErgonError,
  messageOf,
  type Alarm,
  type Message,
  type Tell,
} from "@ergon/core";

import type { NodeContext } from "../node-context.ts";

/** Whose an alarm is: the actor, and its number there. */
export interface AlarmOwner {
  readonly id: string;
  readonly key: number;
}

/** Throws `InvalidError` when the alarm is none of an actor's. */
export function ownerOf({ key: name, data }: Alarm): AlarmOwner {
  const { id, key } = decodeBody(data, MSGPACK_TYPE) as Partial<AlarmOwner>;
  if (typeof id !== "string" || typeof key !== "number")
    throw new InvalidError("INVALID_BODY", `alarm ${name} is not one of an actor`);
  return { id, key };
}

/** Which of an actor's alarms has gone off, on its way to the owner of the actor's shard. */
export interface AlarmNews {
  readonly key: number;
  readonly dueAt: number;
}

export function encodeAlarm(news: AlarmNews): Uint8Array {
  return encodeBody(news, MSGPACK_TYPE);
}

/** Throws `InvalidError` when the body is not an alarm. */
export function decodeAlarm({ data }: Message): AlarmNews {
  const { key, dueAt } = decodeBody(data, MSGPACK_TYPE) as Partial<AlarmNews>;
  if (typeof key !== "number" || typeof dueAt !== "number")
    throw new InvalidError("INVALID_BODY", "the body is not an alarm");
  return { key, dueAt };
}

/** What an operator can mend: the alarm is set once it is. */
const mendable: ReadonlySet<string> = new Set(["NOT_PERMITTED", "SERVER_UNSUITABLE"]);

/** Sets an alarm, or takes it back; both may be repeated. Answers why it could not: of kind `unavailable` when it is to be tried again. */
export async function setAlarm(
  { ports, logger }: NodeContext,
  id: string,
  { to, key }: Tell,
  dueAt: number | undefined,
): Promise<Error | undefined> {
  try {
    if (dueAt === undefined) await ports.alarms.cancel(to);
    else await ports.alarms.set(to, dueAt, encodeBody({ id, key } satisfies AlarmOwner, MSGPACK_TYPE));
    return undefined;
  } catch (error) {
    const message = messageOf(error);
    if (isErgonError(error) && mendable.has(error.code)) {
      logger.error({ id, alarm: to, reason: message }, "alarms cannot be set; tried again");
      return new UnavailableError("STORE_UNAVAILABLE", message);
    }
    logger.debug({ id, alarm: to, reason: message }, "an alarm was not set");
    return error instanceof Error ? error : new Error(message);
  }
}
