import type { Message } from "../ports/bus.ts";
import type { TaskView } from "../views/task-view.ts";
import { decodeBody } from "../wire/codec.ts";
import { decodeError } from "../wire/error-headers.ts";
import { H } from "../wire/headers.ts";

/** What an agent answered, exactly. */
export interface TaskResponse {
  readonly data: Uint8Array;
  readonly contentType: string | undefined;
  /** The bytes as UTF-8. */
  text(): string;
  /** The bytes as JSON; throws `SyntaxError` when they are none. */
  json(): unknown;
}

/** A node's word about a task. */
export interface TaskReply {
  readonly view: TaskView;
  /** Whether the task has ended: the status never changes again (I-1). */
  readonly final: boolean;
  readonly shard: number | undefined;
}

/** A task's response, or what is known of the task while there is none. */
export type ResponseReply =
  | { readonly kind: "response"; readonly response: TaskResponse }
  | ({ readonly kind: "pending" } & TaskReply);

/** Reads a body that is no task. Throws the error that the message carries instead. */
export function readBody(message: Message): unknown {
  const error = decodeError(message);
  if (error !== undefined) throw error;
  return decodeBody(message.data, message.header(H.contentType));
}

/** Reads a reply about a task. Throws the error that it carries instead. */
export function readTask(message: Message): TaskReply {
  const view = readBody(message) as TaskView;
  return { view, final: isFinal(message), shard: shardIn(message) };
}

/** Reads the reply to a request with `Ergon-Answer: response`: the failure of a failed task comes as an error. */
export function readResponse(message: Message): ResponseReply {
  if (!isFinal(message)) return { kind: "pending", ...readTask(message) };
  const error = decodeError(message);
  if (error !== undefined) throw error;
  return { kind: "response", response: responseOf(message.data.slice(), message.header(H.contentType)) };
}

function isFinal(message: Message): boolean {
  return message.header(H.final) === "true";
}

function shardIn(message: Message): number | undefined {
  const text = message.header(H.shard);
  return text === undefined ? undefined : Number(text);
}

function responseOf(data: Uint8Array, contentType: string | undefined): TaskResponse {
  const text = (): string => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
  return { data, contentType, text, json: () => JSON.parse(text()) as unknown };
}
