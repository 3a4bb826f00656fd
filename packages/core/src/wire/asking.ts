import { parseDuration } from "../base/duration.ts";
import { mediaType } from "./codec.ts";
import { H, JSON_TYPE, MSGPACK_TYPE } from "./headers.ts";
import type { Headers, Message } from "./message.ts";
import { duration, type Faults } from "./option-checks.ts";

/** The longest wait of one request. A client that wants to wait longer asks again. */
export const LONGEST_WAIT_MS = 3_600_000;

/** A state or a tag of an instance that a request waits for. */
export interface WaitTarget {
  readonly kind: "state" | "tag";
  readonly name: string;
}

/** The answer that a request wants. */
export interface Asking {
  /** The subject of the answer, or `undefined` if the sender wants no answer. */
  readonly reply: string | undefined;
  /** The media type of the answer. */
  readonly accept: string;
  /** True answers a success with the response itself. */
  readonly raw: boolean;
  /** The longest wait for the answer. The request is answered at once if it is `undefined`. */
  readonly waitMs: number | undefined;
  /** The state or tag to wait for. The answer waits for the end if it is `undefined`. */
  readonly until: WaitTarget | undefined;
}

/** Reads the answer that a request wants. {@link checkAsking} reports wrong values; this function ignores them. */
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

/** Reports wrong values of the headers that describe the wanted answer. */
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
