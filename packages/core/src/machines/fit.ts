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

/** An actor inside an instance, as records hold it. */
interface PersistedChild {
  readonly src?: unknown;
  readonly snapshot?: PersistedActor;
  readonly gone?: true;
}

export interface PersistedActor {
  readonly status?: string;
  /** Of one that stands for something durable. */
  readonly key?: number;
  readonly children?: Readonly<Record<string, PersistedChild>>;
}

/** An actor that was made of it, and does not run. */
export interface RestoredActor {
  readonly logic: AnyActorLogic & { readonly [DURABLE]?: true };
  getSnapshot(): { readonly children?: Readonly<Record<string, RestoredActor>> };
}

/**
 * Why a stored instance cannot go on as one of a machine; `undefined`: it can. Nothing of it is started: what it would run in the node is made, and
 * left alone.
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

/** An actor inside that the machine has no logic for, or has one of another kind for. XState passes over the former without a word. */
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

/** A timer of the machine's own whose event its state does not take: it would wait for ever for what is due. */
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
