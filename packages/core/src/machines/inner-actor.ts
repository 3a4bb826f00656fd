import type { EventObject } from "xstate";

import type { StoredEvent } from "./command.ts";

/** The number of microsteps that one event may cause when the machine sets no limit. */
const MOST_MICROSTEPS = 10_000;

/** Marks logic whose actors run nothing in the node, because the engine keeps their tasks and durable children. */
export const DURABLE: unique symbol = Symbol.for("ergon.durable");

/** XState's number for an actor that has stopped. */
export const STOPPED = 2;

/** The parts of an XState actor that the engine uses beyond the public types (5.33; test/unit/machines-*.test.ts checks them). */
export interface InnerActor {
  id: string;
  readonly sessionId: string;
  _processingStatus: number;
  readonly _parent?: InnerActor;
  readonly _syncSnapshot?: boolean;
  readonly src?: unknown;
  readonly systemId?: string;
  readonly system: InnerSystem;
  _snapshot: { status: string; children?: object };
  readonly options: { readonly snapshot?: unknown };
  logic: InnerLogic;
  readonly _actorScope: { id: string; emit: (event: StoredEvent) => void };
  getSnapshot(): InnerSnapshot;
  start(): unknown;
  _send(event: EventObject): void;
  _error(error: unknown): void;
  _stop(): void;
}

/** The snapshot of a machine. The snapshot of another actor has a status, and the fields that its logic adds. */
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
  _bookId: () => string;
  _register: (sessionId: string, actor: InnerActor) => string;
  _unregister: (actor: InnerActor) => void;
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

/** Prepares an actor before it takes its first state. */
export function prepare({ logic, options }: InnerActor): void {
  boundSteps(logic);
  reviveHistory(logic, options.snapshot);
}

/** Limits the steps of a machine whose author has set no limit, so that an endless loop of steps stops. */
function boundSteps({ options }: InnerLogic): void {
  if (options !== undefined && options.maxIterations === Infinity) options.maxIterations = MOST_MICROSTEPS;
}

/** Replaces the ids in a history with their states. XState would read a dot in an id as a path, fail to find the state, and forget it. */
function reviveHistory({ idMap }: InnerLogic, snapshot: unknown): void {
  const { historyValue } = (snapshot ?? {}) as { readonly historyValue?: Record<string, { readonly id: string }[]> };
  if (idMap === undefined || historyValue === undefined) return;
  for (const [history, states] of Object.entries(historyValue))
    historyValue[history] = states.map((state) => (idMap.get(state.id) as typeof state | undefined) ?? state);
}

/** Returns true if an actor runs in the node, and false if it is only data. */
export function isLocal({ logic, _snapshot }: InnerActor): boolean {
  return logic[DURABLE] !== true && logic.start !== undefined && _snapshot.status === "active";
}
