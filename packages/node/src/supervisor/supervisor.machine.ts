import { createActor, setup, type AnyStateMachine } from "xstate";

/** The events of a shard at a node. */
export type SupervisorEvent =
  /** The assignment decides whether this node should host the shard. */
  | { readonly type: "assigned" }
  | { readonly type: "unassigned" }
  | { readonly type: "claimed" }
  /** Another node has the shard. */
  | { readonly type: "lost" }
  | { readonly type: "loaded" }
  /** Its records do not fit this node's heap. */
  | { readonly type: "noRoom" }
  | { readonly type: "idle" }
  | { readonly type: "released" }
  /** The node does not know whether a write is stored. */
  | { readonly type: "doubt" }
  /** The node could not reach NATS, or NATS did not answer. */
  | { readonly type: "failed" };

/** The actions of a supervisor. `ShardSupervisor` performs them. */
export type SupervisorAction =
  | "claim"
  | "load"
  | "serve"
  | "suspend"
  | "resume"
  | "drain"
  | "release"
  | "drop"
  | "claimAgain"
  | "loadAgain";

export interface Supervisor {
  send(event: SupervisorEvent): void;
}

const machine = setup({
  types: { events: {} as SupervisorEvent },
  actions: {
    claim: () => undefined,
    load: () => undefined,
    serve: () => undefined,
    suspend: () => undefined,
    resume: () => undefined,
    drain: () => undefined,
    release: () => undefined,
    drop: () => undefined,
    claimAgain: () => undefined,
    loadAgain: () => undefined,
  },
}).createMachine({
  id: "supervisor",
  initial: "elsewhere",
  states: {
    elsewhere: { on: { assigned: "claiming" } },
    /** The compare-and-set of the owner key is in flight. It may succeed, so the node afterwards gives away a shard that it no longer wants. */
    claiming: {
      entry: "claim",
      on: {
        claimed: "loading",
        failed: { actions: "claimAgain" },
        lost: { target: "elsewhere", actions: "drop" },
      },
    },
    /** From here on the server refuses every former owner, so the node reads the complete shard. */
    loading: {
      entry: "load",
      on: {
        loaded: { target: "serving", actions: "serve" },
        noRoom: "releasing",
        failed: { actions: "loadAgain" },
        lost: { target: "elsewhere", actions: "drop" },
      },
    },
    serving: {
      on: { doubt: "suspended", unassigned: "draining", lost: { target: "elsewhere", actions: "drop" } },
    },
    /** A write is in doubt. The node bumps the owner key, which cuts off its own late writes. */
    suspended: {
      entry: ["suspend", "claim"],
      on: {
        claimed: { target: "serving", actions: "resume" },
        lost: { target: "elsewhere", actions: "drop" },
        failed: { actions: "claimAgain" },
      },
    },
    draining: {
      entry: "drain",
      on: { idle: "releasing", lost: { target: "elsewhere", actions: "drop" }, doubt: "suspended" },
    },
    releasing: {
      entry: "release",
      on: {
        released: { target: "elsewhere", actions: "drop" },
        lost: { target: "elsewhere", actions: "drop" },
        failed: { target: "elsewhere", actions: "drop" },
      },
    },
  },
});

/** The life of one shard at a node, as docs/architecture.md draws it. */
export const supervisorMachine: AnyStateMachine = machine;

/**
 * Starts the supervisor of one shard. Its actions run after each transition, in order, and outside of XState, because users' machines take steps in them.
 */
export function createSupervisor(actions: Readonly<Record<SupervisorAction, () => void>>): Supervisor {
  const due: (() => void)[] = [];
  let running = false;
  const noted = Object.entries(actions).map(([name, run]) => [name, () => void due.push(run)]);
  const actor = createActor(machine.provide({ actions: Object.fromEntries(noted) as typeof actions })).start();
  return {
    send(event) {
      actor.send(event);
      if (running) return;
      running = true;
      try {
        for (let run = due.shift(); run !== undefined; run = due.shift()) run();
      } finally {
        running = false;
      }
    },
  };
}
