import type { EventObject } from "xstate";

import type { Timer } from "../actor/step.ts";
import type { Ending } from "./command.ts";
import type { Answered, Tell } from "./machine-state.ts";

interface At {
  readonly at: number;
}

/** What can happen to an instance of a machine, as the engine takes it. What another durable actor tells is in the form of records, all else as it is. */
export type MachineEvent = At &
  /** An event of a client; `id` makes a repetition of it known. */
  (
    | { readonly type: "ergon.event"; readonly event: EventObject; readonly id?: string | undefined }
    | { readonly type: "ergon.timer"; readonly timer: Timer }
    /** A task embedded in the record has ended; by an answer, where there is one. */
    | {
        readonly type: "ergon.task";
        readonly key: number;
        readonly ending: Ending;
        readonly answered?: Answered | undefined;
      }
    /** A message of another durable actor. */
    | { readonly type: "ergon.told"; readonly from: string; readonly tell: Tell }
    /** Something that runs in the node has a result. */
    | { readonly type: "ergon.local"; readonly run: () => void }
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
