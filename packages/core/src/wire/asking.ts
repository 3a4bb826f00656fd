import { parseDuration } from "../base/duration.ts";
import { mediaType } from "./codec.ts";
import { H, JSON_TYPE, MSGPACK_TYPE } from "./headers.ts";
import type { Headers, Message } from "./message.ts";
import { duration, type Faults } from "./option-checks.ts";

/** The longest that one request waits; a client that wants to wait longer asks again. */
export const LONGEST_WAIT_MS = 3_600_000;

/** A state or a tag of an instance that a request waits for. */
export interface WaitTarget {
  readonly kind: "state" | "tag";
  readonly name: string;
}

/** How a request wants its answer. */
export interface Asking {
  /** The subject of the answer; `undefined`: the sender wants none. */
  readonly reply: string | undefined;
  /** The media type of the answer. */
  readonly accept: string;
  /** A success is answered with the response itself. */
  readonly raw: boolean;
  /** How long the answer may wait; `undefined`: the request is answered at once. */
  readonly waitMs: number | undefined;
  /** `undefined`: the answer waits for the end. */
  readonly until: WaitTarget | undefined;
}

/** Reads how a request wants its answer. {@link checkAsking} reports wrong values; here they count as absent. */
export function parseAsking(message: Message): Asking {
  const wait = message.header(H.wait);
  const until = message.header(H.until);
  return {
    reply: message.reply,
    accept: mediaType(message.header(H.accept)) === MSGPACK_TYPE ? MSGPACK_TYPE : JSON_TYPE,
    raw: message.header(H.answer) === "response",
    waitMs: wait === undefined ? undefined : Math.min(parseDuration(wait) ?? 0, LONGEST_WAIT_MS),
    until: until === undefined ? undefined : parseWaitTarget(until),
  };
}

/** Reports the wrong values of the headers that say how the answer is wanted. */
export function checkAsking(headers: Headers, faults: Faults): void {
  const { [H.wait]: wait, [H.answer]: answer, [H.until]: until } = headers;
  if (wait !== undefined) duration(H.wait, wait, 0, LONGEST_WAIT_MS, faults);
  if (answer !== undefined && answer !== "task" && answer !== "response")
    faults.add(H.answer, "INVALID_OPTION", "must be task or response");
  if (until !== undefined && parseWaitTarget(until) === undefined)
    faults.add(H.until, "INVALID_OPTION", "must be state:<state> or tag:<tag>");
}

function parseWaitTarget(text: string): WaitTarget | undefined {
  const [, kind, name] = /^(state|tag):(.+)$/s.exec(text) ?? [];
  return name === undefined ? undefined : { kind: kind as WaitTarget["kind"], name };
}
