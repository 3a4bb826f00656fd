import type { ActorState } from "@ergon/core/engine";

import type { LiveActor } from "../shard/actor.ts";

/** The outcome of a request for a new task or instance: it is stored, now or before, or it was refused. `actor` is absent when it has ended before. */
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
