import type { ActorState } from "@ergon/core/engine";

import type { LiveActor } from "../shard/actor.ts";

/** The outcome of a request for a new task or instance: the store holds it, or the node refused it. `actor` is absent if it had ended before. */
export type Outcome =
  | { readonly kind: "stored"; readonly actor: LiveActor | undefined; readonly state: ActorState }
  | Refused;

interface Refused {
  readonly kind: "refused";
  readonly error: unknown;
}

export function refusedWith(error: unknown): Refused {
  return { kind: "refused", error };
}
