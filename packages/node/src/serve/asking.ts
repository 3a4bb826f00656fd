import {
  H,
  InvalidError,
  JSON_TYPE,
  MSGPACK_TYPE,
  isIn,
  isMachineState,
  mediaType,
  parseDuration,
  type Message,
} from "@ergon/core";

import type { Until } from "../shard/actor.ts";
import type { Asking } from "./listeners.ts";

const LONGEST_WAIT_MS = 3_600_000;

/** Who asks, and in what form the answer is wanted. */
export function askingOf(message: Message): Asking {
  return {
    reply: message.reply ?? "",
    accept: mediaType(message.header(H.accept)) === MSGPACK_TYPE ? MSGPACK_TYPE : JSON_TYPE,
    raw: message.header(H.answer) === "response",
  };
}

/** Throws `InvalidError` for a bad `Ergon-Wait`: before anything is stored. */
export function checkWait(message: Message): void {
  const wait = message.header(H.wait);
  if (wait !== undefined) waitMs(wait);
}

/** How long a `wait` waits. Throws `InvalidError` for what is no duration. */
export function waitMs(text: string): number {
  const ms = parseDuration(text);
  const fault = `${H.wait}: must be a duration such as 30s`;
  if (ms === undefined)
    throw new InvalidError("INVALID_OPTION", fault, {
      issues: [{ field: H.wait, code: "INVALID_OPTION", message: fault }],
    });
  return Math.min(ms, LONGEST_WAIT_MS);
}

/** What a wait waits for, when that is not the end. Throws `InvalidError` for what is neither a state nor a tag. */
export function untilOf(message: Message): Until | undefined {
  const text = message.header(H.until);
  if (text === undefined) return undefined;
  const [, kind, name = ""] = /^(state|tag):(.+)$/.exec(text) ?? [];
  if (kind === undefined) {
    const fault = `${H.until}: must be state:<state> or tag:<tag>`;
    throw new InvalidError("INVALID_OPTION", fault, {
      issues: [{ field: H.until, code: "INVALID_OPTION", message: fault }],
    });
  }
  return (state) => {
    if (!isMachineState(state)) return false;
    return kind === "tag" ? state.meta.stateTags.includes(name) : isIn(state.persisted.value, name);
  };
}
