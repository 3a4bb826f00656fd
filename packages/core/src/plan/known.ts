import type { Known } from "./definition.ts";

/** Returns the known result of a step. The id may be any text, even `constructor`. */
export function knownIn(known: Readonly<Record<string, Known>>, id: string): Known | undefined {
  return Object.hasOwn(known, id) ? known[id] : undefined;
}
