import { type Clock } from "@ergon/core";
import { delay } from "@ergon/core/engine";

/**
 * The number of items that one turn takes. All items of the longest batch would take a second, in which the node would renew no session and answer
 * nobody.
 */
const PER_TURN = 250;

/** Runs `run` for each item in order, and gives other work its turn in between. Stops at the first call that throws. */
export async function inTurns<T>(
  clock: Clock,
  items: Iterable<T>,
  run: (item: T, index: number) => void,
): Promise<void> {
  let index = 0;
  for (const item of items) {
    if (index > 0 && index % PER_TURN === 0) await delay(clock, 0);
    run(item, index);
    index += 1;
  }
}

/** Runs `run` for each item, `width` of them at a time. Returns the results in the order of the items. */
export async function inLanes<T, R>(
  items: readonly T[],
  width: number,
  run: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await run(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
