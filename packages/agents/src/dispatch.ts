import { InvalidError } from "@ergon/core";
import type { Message } from "@ergon/core";
import { H, attemptKey, isId, isTaskId } from "@ergon/core/engine";

/** An attempt as a node handed it over. */
export interface Dispatch {
  /** Task and attempt: a repeated dispatch has the same key. */
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  readonly driver: string;
  readonly replyTo: string;
  /** The node that dispatched; empty if the dispatch does not name it. */
  readonly node: string;
  readonly payload: Uint8Array;
  readonly contentType: string | undefined;
  readonly correlationId: string | undefined;
  readonly resource: string | undefined;
  readonly arguments: Readonly<Record<string, string>>;
  /** The remaining time of the attempt, counted from now, because clocks differ. `Infinity` without a limit. */
  readonly timeoutMs: number;
  /** The deadline by the sender's wall clock. */
  readonly deadline: number | undefined;
  /** 0: the task asks for no heartbeats. */
  readonly heartbeatMs: number;
  /** The attempt was dispatched to this agent before, perhaps to a former incarnation. */
  readonly isAgain: boolean;
}

const EMPTY = new Uint8Array();
const NO_ARGUMENTS: Readonly<Record<string, string>> = Object.freeze({});

/** Reads a dispatch. Throws `InvalidError` (`INVALID_BODY`), which names the faulty header. */
export function parseDispatch(driver: string, message: Message): Dispatch {
  const task = message.header(H.task) ?? "";
  if (!isTaskId(task)) throw malformed(H.task, task);
  const attempt = requireNumber(message, H.attempt) ?? 0;
  if (!Number.isSafeInteger(attempt) || attempt < 1) throw malformed(H.attempt, String(attempt));
  const node = message.header(H.node) ?? "";
  if (node !== "" && !isId(node)) throw malformed(H.node, node);
  const { data, reply } = message;
  if (reply === undefined) throw new InvalidError("INVALID_BODY", "a dispatch needs a reply-to");
  return {
    key: attemptKey(task, attempt),
    task,
    attempt,
    driver,
    replyTo: reply,
    node,
    payload: data.length === 0 ? EMPTY : data.slice(),
    contentType: message.header(H.contentType),
    correlationId: message.header(H.correlationId),
    resource: message.header(H.resource),
    arguments: parseArguments(message.header(H.arguments)),
    timeoutMs: requireNumber(message, H.timeoutMs) ?? Infinity,
    deadline: requireNumber(message, H.deadline),
    heartbeatMs: requireNumber(message, H.heartbeatMs) ?? 0,
    isAgain: message.header(H.again) !== undefined,
  };
}

function requireNumber(message: Message, name: string): number | undefined {
  const text = message.header(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw malformed(name, text);
  return value;
}

function parseArguments(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return NO_ARGUMENTS;
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(H.arguments, text);
  for (const entry of Object.values(value)) if (typeof entry !== "string") throw malformed(H.arguments, text);
  return value as Record<string, string>;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(H.arguments, text, cause);
  }
}

function malformed(name: string, value: string, cause?: unknown): InvalidError {
  return new InvalidError(
    "INVALID_BODY",
    `a dispatch's header ${name} cannot be ${JSON.stringify(value.slice(0, 80))}`,
    { cause },
  );
}
