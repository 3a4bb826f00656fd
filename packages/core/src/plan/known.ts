import type { Known } from "./definition.ts";

/** What is known of a step, whatever its id is: `constructor` is one too. */
export function knownIn(known: Readonly<Record<string, Known>>, id: string): Known | undefined {
  return Object.hasOwn(known, id) ? known[id] : undefined;
}
