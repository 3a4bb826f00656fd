import type { EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import type { HeardEvent } from "./asks/asks.ts";
import type { Tell } from "./tell.ts";

interface At {
  readonly at: number;
}

/**
 * An event of the engine for an instance of a machine. A message of another durable actor is in the form of records; all other data is as the sender
 * gave it.
 */
export type MachineEvent = At &
  /** An event of a client. Its `id` identifies a repetition. */
  (
    | { readonly type: "ergon.event"; readonly event: EventObject; readonly id?: string | undefined }
    | { readonly type: "ergon.timer"; readonly timer: Timer }
    | HeardEvent
    /** A message of another durable actor. */
    | { readonly type: "ergon.told"; readonly from: string; readonly tell: Tell }
    /** Stops the instance from outside, by a cancel or by a forced end. */
    | { readonly type: "cancel" | "end"; readonly by: string; readonly reason: string }
    /** Fails the instance because the engine cannot run it any further. */
    | { readonly type: "ergon.failed"; readonly code: string; readonly message: string }
  );

/** The facts that start an instance. */
export interface MachineInput extends At {
  /** The input, in the form of records. */
  readonly input: unknown;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: { readonly id: string; readonly key: number; readonly sync: boolean } | undefined;
  readonly origin?: string | undefined;
  readonly fingerprint: number;
}
