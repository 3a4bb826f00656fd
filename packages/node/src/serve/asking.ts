import {
  H,
  JSON_TYPE,
  LONGEST_WAIT_MS,
  MSGPACK_TYPE,
  isIn,
  isMachineState,
  mediaType,
  parseDuration,
  type Message,
} from "@ergon/core";

import type { Until } from "../shard/actor.ts";
import type { Asking } from "./listeners.ts";

/** Who asks, and in what form the answer is wanted. */
export function askingOf(message: Message): Asking {
  return {
    reply: message.reply ?? "",
    accept: mediaType(message.header(H.accept)) === MSGPACK_TYPE ? MSGPACK_TYPE : JSON_TYPE,
    raw: message.header(H.answer) === "response",
    until: untilOf(message),
  };
}

/** How long a `wait` waits. What was asked for was checked when the message came. */
export function waitMs(text: string): number {
  return Math.min(parseDuration(text) ?? 0, LONGEST_WAIT_MS);
}

/** What a wait waits for, when that is not the end. */
export function untilOf(message: Message): Until | undefined {
  const text = message.header(H.until);
  if (text === undefined) return undefined;
  const [, kind, name = ""] = /^(state|tag):(.+)$/s.exec(text) ?? [];
  return (state) => {
    if (!isMachineState(state)) return false;
    return kind === "tag" ? state.meta.stateTags.includes(name) : isIn(state.persisted.value, name);
  };
}
