import type { EventObject } from "xstate";

import type { StoredEvent } from "./command.ts";

/** Microsteps that one event may cause, where the machine does not say. */
const MOST_MICROSTEPS = 10_000;

/** Marks logic whose actors do nothing in the node: what they stand for is kept by the engine. */
export const DURABLE: unique symbol = Symbol.for("ergon.durable");

/** What the engine uses of XState's actors beyond their public types (5.33; held by test/unit/machines-*.test.ts). */
export interface InnerActor {
  readonly id: string;
  readonly sessionId: string;
  readonly _parent?: InnerActor;
  readonly _syncSnapshot?: boolean;
  readonly src?: unknown;
  readonly systemId?: string;
  readonly system: InnerSystem;
  _snapshot: { status: string; children?: object };
  readonly options: { readonly snapshot?: unknown };
  logic: InnerLogic;
  readonly _actorScope: { emit: (event: StoredEvent) => void };
  getSnapshot(): InnerSnapshot;
  _send(event: EventObject): void;
  _error(error: unknown): void;
  _stop(): void;
}

/** A machine's; those of other actors have a status, and whatever else their logic puts there. */
interface InnerSnapshot {
  readonly status: string;
  readonly output?: unknown;
  readonly error?: unknown;
  readonly value?: unknown;
  readonly context?: unknown;
  readonly children?: Readonly<Record<string, InnerActor>>;
  readonly historyValue?: Readonly<Record<string, readonly { readonly id: string }[]>>;
}

export interface InnerSystem {
  _register: (sessionId: string, actor: InnerActor) => string;
  _relay: (source: InnerActor | undefined, target: InnerActor, event: EventObject) => void;
  _sendInspectionEvent: (event: { type: string; actorRef: InnerActor }) => void;
  inspect: (observer: (event: { type: string; actorRef: InnerActor }) => void) => void;
  scheduler: {
    schedule(source: InnerActor, target: InnerActor, event: EventObject, delay: number, id?: string): void;
    cancel(source: InnerActor, id: string): void;
    cancelAll(actor: InnerActor): void;
  };
}

export interface InnerLogic {
  readonly __xstatenode?: boolean;
  readonly idMap?: ReadonlyMap<string, object>;
  readonly options?: { maxIterations?: number };
  readonly [DURABLE]?: true;
  start?: (snapshot: unknown, scope: unknown) => void;
  transition: (snapshot: unknown, event: EventObject, scope: unknown) => unknown;
  getPersistedSnapshot: (snapshot: unknown) => unknown;
}

/** Before an actor takes its first state. */
export function prepare({ type, actorRef }: { readonly type: string; readonly actorRef: InnerActor }): void {
  if (type !== "@xstate.actor") return;
  boundSteps(actorRef.logic);
  reviveHistory(actorRef.logic, actorRef.options.snapshot);
}

/** A machine that takes step after step without an end is stopped, where its author has set no bound of his own. */
function boundSteps({ options }: InnerLogic): void {
  if (options !== undefined && options.maxIterations === Infinity) options.maxIterations = MOST_MICROSTEPS;
}

/** A history names states by their ids. XState would take a dot in one for a path, not find the state, and forget it. */
function reviveHistory({ idMap }: InnerLogic, snapshot: unknown): void {
  const { historyValue } = (snapshot ?? {}) as { readonly historyValue?: Record<string, { readonly id: string }[]> };
  if (idMap === undefined || historyValue === undefined) return;
  for (const [history, states] of Object.entries(historyValue))
    historyValue[history] = states.map((state) => (idMap.get(state.id) as typeof state | undefined) ?? state);
}

/** XState lets the actors of a machine that has failed go on. Here they would be nobody's, and their tasks be done for nobody. */
export function stopOrphans(actor: InnerActor): void {
  const { status, children = {} } = actor.getSnapshot();
  for (const child of Object.values(children)) {
    if (status === "error" && child.getSnapshot().status === "active") child._stop();
    else stopOrphans(child);
  }
}

/** Stops an actor and everything below it. */
export function stopAll(actor: InnerActor): void {
  for (const child of Object.values(actor.getSnapshot().children ?? {})) {
    if (child.logic.__xstatenode === true) stopAll(child);
    else if (child.getSnapshot().status === "active") child._stop();
  }
  actor._snapshot = { ...actor._snapshot, status: "stopped", children: {} };
}

export function hasLocal(actor: InnerActor): boolean {
  for (const child of Object.values(actor.getSnapshot().children ?? {})) {
    if (child.logic.__xstatenode === true ? hasLocal(child) : isLocal(child)) return true;
  }
  return false;
}

export function stopLocal(actor: InnerActor): void {
  for (const child of Object.values(actor.getSnapshot().children ?? {})) {
    if (child.logic.__xstatenode === true) stopLocal(child);
    else if (isLocal(child)) child._stop();
  }
}

function isLocal({ logic, _snapshot }: InnerActor): boolean {
  return logic[DURABLE] !== true && logic.start !== undefined && _snapshot.status === "active";
}
