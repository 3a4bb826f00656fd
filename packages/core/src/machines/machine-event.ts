import type { EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import type { HeardEvent } from "./asks/asks.ts";
import type { Tell } from "./tell.ts";

interface At {
  readonly at: number;
}

/** What can happen to an instance of a machine, as the engine takes it. What another durable actor tells is in the form of records, all else as it is. */
export type MachineEvent = At &
  /** An event of a client; `id` makes a repetition of it known. */
  (
    | { readonly type: "ergon.event"; readonly event: EventObject; readonly id?: string | undefined }
    | { readonly type: "ergon.timer"; readonly timer: Timer }
    | HeardEvent
    /** A message of another durable actor. */
    | { readonly type: "ergon.told"; readonly from: string; readonly tell: Tell }
    /** It is stopped from outside: cancelled, or ended by force. */
    | { readonly type: "cancel" | "end"; readonly by: string; readonly reason: string }
    /** The engine cannot go on with it. */
    | { readonly type: "ergon.failed"; readonly code: string; readonly message: string }
  );

/** What an instance is started with. */
export interface MachineInput extends At {
  /** In the form of records. */
  readonly input: unknown;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: { readonly id: string; readonly key: number; readonly sync: boolean } | undefined;
  readonly origin?: string | undefined;
  readonly fingerprint: number;
}
