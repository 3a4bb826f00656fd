import type { AnyActorScope } from "xstate";

/** What a step asks the world to do, once its record is stored (law 1). */
export interface Effect {
  readonly type: string;
  readonly params: unknown;
}

interface ExecutableAction {
  readonly type: string;
  readonly params: unknown;
}

/**
 * The scope in which machines are stepped: it runs no action, keeps them in `collected`, and is reused for every step of the process,
 * since building an actor and a system for each would cost ten times the step itself (design section 8). Not re-entrant, as a step is synchronous.
 */
export interface Scope {
  readonly collected: ExecutableAction[];
  readonly actorScope: AnyActorScope;
}

const ignore = (): void => undefined;

export function createScope(): Scope {
  const collected: ExecutableAction[] = [];
  const system = {
    _bookId: () => "ergon:0",
    _register: ignore,
    _unregister: ignore,
    _set: ignore,
    get: ignore,
    inspect: ignore,
    _sendInspectionEvent: ignore,
    _relay: ignore,
    scheduler: { schedule: ignore, cancel: ignore, cancelAll: ignore },
    getSnapshot: () => ({ _scheduledEvents: {} }),
    _logger: ignore,
    start: ignore,
  };
  const self = { id: "ergon", sessionId: "ergon:0", send: ignore, system, _parent: undefined };
  const actorScope = {
    self,
    id: "ergon",
    sessionId: "ergon:0",
    logger: ignore,
    defer: ignore,
    emit: ignore,
    stopChild: ignore,
    system,
    actionExecutor: (action: ExecutableAction) => {
      collected.push(action);
    },
  };
  return { collected, actorScope: actorScope as unknown as AnyActorScope };
}
