import { isErgonError, type Bus, type Headers } from "@ergon/core";

import { NO_BYTES } from "../node-context.ts";

/**
 * Asks on a subject that only its owner serves. `deserted` is the server's word that nobody is there; a slow one is `silent`, which is no death, and
 * without NATS nothing can be known.
 */
export async function probe(
  bus: Bus,
  subject: string,
  timeoutMs: number,
  headers?: Headers,
): Promise<"answered" | "silent" | "deserted"> {
  try {
    await bus.request(subject, NO_BYTES, { headers, timeoutMs });
    return "answered";
  } catch (error) {
    return isErgonError(error) && error.code === "NO_NODE" ? "deserted" : "silent";
  }
}
