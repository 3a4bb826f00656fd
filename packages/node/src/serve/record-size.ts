import type { TaskSpec } from "@ergon/core/engine";

/** The room that a message needs beside the payload, for headers and the record's own fields. */
const ENVELOPE_BYTES = 32_768;
/** The room that a record needs beside the payload, the response and the client's attachments, for history, failure, decisions and names. */
const RECORD_BYTES = 24_576;

/** The most bytes that a client may put into a task if the server takes messages of `maxMessageBytes`. */
export function mostForTask(maxMessageBytes: number): number {
  return maxMessageBytes - ENVELOPE_BYTES;
}

/** The most bytes of an agent's answer, because the response shares its record with the payload. */
export function mostForResponse(maxMessageBytes: number, task: TaskSpec): number {
  return maxMessageBytes - RECORD_BYTES - bytesOf(task);
}

/** The number of bytes that a client put into a task. */
export function bytesOf(task: Omit<TaskSpec, "id">): number {
  const { payload, arguments: agentArguments, resource, tags, correlationId, contentType } = task;
  let bytes = payload.length;
  for (const part of [agentArguments, resource, tags, correlationId, contentType])
    if (part !== undefined) bytes += Buffer.byteLength(JSON.stringify(part));
  return bytes;
}
