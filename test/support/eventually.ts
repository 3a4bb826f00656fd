import { setTimeout as pause } from "node:timers/promises";

const EVERY_MS = 20;

/**
 * Looks until there is something (not `undefined`, not `false`), and answers it. Fails after `deadlineMs` with what did not happen and, where
 * the look threw, why. For states that nobody announces; what is announced is waited for.
 */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`did not happen within ${deadlineMs} ms: ${what}`, { cause: last });
    await pause(EVERY_MS);
  }
}
