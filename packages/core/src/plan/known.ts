import type { Known } from "./definition.ts";

/** The known result of a step with any id, even `constructor`. */
export function knownIn(known: Readonly<Record<string, Known>>, id: string): Known | undefined {
  return Object.hasOwn(known, id) ? known[id] : undefined;
}
