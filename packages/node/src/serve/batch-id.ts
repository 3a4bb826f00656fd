import { isName } from "@ergon/core/engine";

/** Digits of the time at the front: enough until the year 5188, and of one length, so that texts compare as times do. */
const TIME_DIGITS = 9;
const FORM = /^[0-9a-z]{9}-[A-Za-z0-9_]+-(?<coordinator>.+)$/;

/**
 * The id of one try to admit a batch. Ids have one order in the whole namespace: by the time at which the batch came, then by chance. Of two batches
 * with a task in common the one with the later id gives way. A batch that is tried again keeps its time, so it gives way to no batch that came later.
 */
export function createBatchId(cameAt: number, unique: string, coordinator: string): string {
  return `${cameAt.toString(36).padStart(TIME_DIGITS, "0")}-${unique.replaceAll("-", "_")}-${coordinator}`;
}

/** Whether the first of two batches comes first in their order. */
export function comesBefore(batch: string, other: string): boolean {
  return batch < other;
}

/** The node that coordinates the batch; `undefined` for an id of an older form. */
export function coordinatorOf(batch: string): string | undefined {
  const node = FORM.exec(batch)?.groups?.["coordinator"];
  return node !== undefined && isNode(node) ? node : undefined;
}

/** A node's id is a name and eight characters more. */
function isNode(text: string): boolean {
  return text.length <= 128 && isName(text.slice(0, 64)) && (text.length <= 64 || isName(text.slice(64)));
}
