import { isErgonError, type Bus, type Headers } from "@ergon/core";

import { NO_BYTES } from "../node-context.ts";

/**
 * Asks on a subject that only its owner serves. `deserted` means that the server reports that nobody is there. A slow owner is `silent`, which does not prove
 * its death. Without NATS the node can prove nothing.
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
