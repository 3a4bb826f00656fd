import { isName } from "@ergon/core/engine";

/** The digits of the time at the front. They suffice until the year 5188 and have one length, so that texts compare like times. */
const TIME_DIGITS = 9;
const FORM = /^[0-9a-z]{9}-[A-Za-z0-9_]+-(?<coordinator>.+)$/;

/**
 * Makes the id of one try to admit a batch. Ids have one order in the whole namespace: by the time at which the batch came, then by chance. If two batches
 * share a task, the batch with the later id gives way. A batch keeps its time when the node tries it again, so it gives way to no batch that came later.
 */
export function createBatchId(cameAt: number, unique: string, coordinator: string): string {
  return `${cameAt.toString(36).padStart(TIME_DIGITS, "0")}-${unique.replaceAll("-", "_")}-${coordinator}`;
}

/** Tells whether the first of two batches precedes the second in their order. */
export function comesBefore(batch: string, other: string): boolean {
  return batch < other;
}

/** Returns the node that coordinates the batch, or `undefined` for an id of an older form. */
export function coordinatorOf(batch: string): string | undefined {
  const node = FORM.exec(batch)?.groups?.["coordinator"];
  return node !== undefined && isNode(node) ? node : undefined;
}

/** A node's id is a name and eight more characters. */
function isNode(text: string): boolean {
  return text.length <= 128 && isName(text.slice(0, 64)) && (text.length <= 64 || isName(text.slice(64)));
}
