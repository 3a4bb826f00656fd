import type { Message } from "../ports/bus.ts";
import type { TaskView } from "../views/task-view.ts";
import { decodeBody } from "../wire/codec.ts";
import { decodeError } from "../wire/error-headers.ts";
import { H } from "../wire/headers.ts";

/** The exact response of an agent. */
export interface TaskResponse {
  readonly data: Uint8Array;
  readonly contentType: string | undefined;
  /** The bytes as UTF-8. */
  text(): string;
  /** The bytes as JSON. Throws `SyntaxError` if they are no JSON. */
  json(): unknown;
}

/** A node's reply about a task. */
export interface TaskReply {
  readonly view: TaskView;
  /** True if the task has ended. Its status then never changes again. */
  readonly final: boolean;
  readonly shard: number | undefined;
}

/** A task's response, or the task while there is no response. */
export type ResponseReply =
  | { readonly kind: "response"; readonly response: TaskResponse }
  | ({ readonly kind: "pending" } & TaskReply);

/** Reads a body that is not a task. Throws the error that the message carries instead. */
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
