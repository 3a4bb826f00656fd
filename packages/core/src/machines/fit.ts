import {
  __unsafe_getAllOwnEventDescriptors,
  createActor,
  type AnyActorLogic,
  type AnyMachineSnapshot,
  type AnyStateMachine,
} from "xstate";

import type { RecordFields } from "../actor/record-fields.ts";
import type { Timer } from "../actor/state.ts";
import { messageOf } from "../base/errors.ts";
import { DURABLE } from "./inner-actor.ts";
import { forXState } from "./restored.ts";

/** An inner actor, as records hold it. */
interface PersistedChild {
  readonly src?: unknown;
  readonly snapshot?: PersistedActor;
  readonly gone?: true;
}

export interface PersistedActor {
  readonly status?: string;
  /** The number of an actor that stands for a task or a durable child. */
  readonly key?: number;
  readonly children?: Readonly<Record<string, PersistedChild>>;
}

/** An actor that was made from the record and does not run. */
export interface RestoredActor {
  readonly logic: AnyActorLogic & { readonly [DURABLE]?: true };
  getSnapshot(): { readonly children?: Readonly<Record<string, RestoredActor>> };
}

/**
 * Returns the reason why a stored instance cannot go on with a machine, or `undefined` when it can. The check creates the inner actors and starts
 * none of them.
 */
export function misfit(
  logic: AnyStateMachine,
  { snapshot, timers }: Pick<RecordFields, "snapshot" | "timers">,
): string | undefined {
  let root: RestoredActor;
  try {
    const given = forXState(structuredClone(snapshot));
    root = createActor(logic, { snapshot: given, logger: () => undefined } as never) as unknown as RestoredActor;
  } catch (error) {
    return messageOf(error);
  }
  const restored = root.getSnapshot() as unknown as AnyMachineSnapshot & { readonly error: unknown };
  if (restored.status !== snapshot.status) return messageOf(restored.error);
  return strangerAmong(root, snapshot as PersistedActor) ?? lostTimer(root, restored, timers);
}

/** Finds an inner actor for which the machine has no logic, or logic of another kind. XState passes over missing logic silently. */
export function strangerAmong(actor: RestoredActor, persisted: PersistedActor, path = ""): string | undefined {
  const restored = actor.getSnapshot().children ?? {};
  for (const [id, { src, snapshot = {}, gone }] of Object.entries(persisted.children ?? {})) {
    if (gone === true) continue;
    const name = `actor "${path}${id}"`;
    const child = restored[id];
    if (child === undefined) return `the logic of its ${name} is not there any more (${String(src)})`;
    const wasDurable = snapshot.key !== undefined;
    const isDurable = child.logic[DURABLE] === true;
    if (wasDurable !== isDurable && snapshot.status === "active")
      return wasDurable
        ? `its ${name} was a driver or a durable machine, and is something that runs in the node now`
        : `its ${name} ran in the node, and is a driver or a durable machine now`;
    const below = strangerAmong(child, snapshot, `${path}${id}.`);
    if (below !== undefined) return below;
  }
  return undefined;
}

/** Finds a timer of the machine whose event the present state does not take. Its instance would wait for ever for the timer. */
function lostTimer(root: RestoredActor, snapshot: AnyMachineSnapshot, timers: readonly Timer[]): string | undefined {
  const own = timers.filter(({ event, source = [] }) => source.length === 0 && event.type.startsWith("xstate.after."));
  if (own.length > 0) {
    const taken: ReadonlySet<string> = new Set(__unsafe_getAllOwnEventDescriptors(snapshot));
    const lost = own.find(({ event }) => !taken.has(event.type));
    if (lost !== undefined) return `its state has no timer "${lost.event.type.slice("xstate.after.".length)}"`;
  }
  const homeless = timers.find(({ source = [] }) => source[0] !== "#_parent" && !isThere(root, source));
  return homeless === undefined ? undefined : `the actor of its timer "${homeless.id}" is not there any more`;
}

function isThere(root: RestoredActor, path: readonly string[]): boolean {
  let actor: RestoredActor | undefined = root;
  for (const id of path) actor = actor?.getSnapshot().children?.[id];
  return actor !== undefined;
}
