import { type Clock } from "@ergon/core";
import { delay } from "@ergon/core/engine";

/** Items that one turn takes: of the longest batch, all at once would take a second, in which the node renews no session and answers nobody. */
const PER_TURN = 250;

/** Runs `run` for each item in its order, and lets other work go on in between. Stops at the first that throws. */
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

/** Runs `run` for each item, `width` of them at a time. Answers with the results in the order of the items. */
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
