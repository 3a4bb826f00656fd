import type { TaskSpec } from "@ergon/core/engine";

/** Room that a message needs beside the payload: headers, and the record's own fields. */
const ENVELOPE_BYTES = 32_768;
/** Room that a record needs beside payload, response and what the client attached: history, failure, decisions, names. */
const RECORD_BYTES = 24_576;

/** What a client may put into a task, in bytes, where the server takes messages of `maxMessageBytes`. */
export function mostForTask(maxMessageBytes: number): number {
  return maxMessageBytes - ENVELOPE_BYTES;
}

/** What an agent may answer, in bytes: the response shares its record with the payload. */
export function mostForResponse(maxMessageBytes: number, task: TaskSpec): number {
  return maxMessageBytes - RECORD_BYTES - bytesOf(task);
}

/** What a client put into a task, in bytes. */
export function bytesOf(task: Omit<TaskSpec, "id">): number {
  const { payload, arguments: agentArguments, resource, tags, correlationId, contentType } = task;
  let bytes = payload.length;
  for (const part of [agentArguments, resource, tags, correlationId, contentType])
    if (part !== undefined) bytes += Buffer.byteLength(JSON.stringify(part));
  return bytes;
}
