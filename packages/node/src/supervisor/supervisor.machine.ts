import { createActor, setup, type AnyStateMachine } from "xstate";

/** The events of a shard at a node. */
export type SupervisorEvent =
  /** The assignment says that this node should host the shard, or no longer should. */
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
  /** A write may or may not be stored. */
  | { readonly type: "doubt" }
  /** NATS could not be reached, or did not answer. */
  | { readonly type: "failed" };

/** The actions of a supervisor; `ShardSupervisor` does it. */
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
    /** The compare-and-set of the owner key is under way; it may succeed, so a shard that is no longer wanted is given away afterwards. */
    claiming: {
      entry: "claim",
      on: {
        claimed: "loading",
        failed: { actions: "claimAgain" },
        lost: { target: "elsewhere", actions: "drop" },
      },
    },
    /** From here on the server refuses every former owner; what is read now is complete. */
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
    /** In doubt over a write: the owner key is bumped, which cuts off this node's own stragglers. */
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

/** One shard's life at a node, as docs/architecture.md draws it. */
export const supervisorMachine: AnyStateMachine = machine;

/**
 * Starts the supervisor of one shard. Its actions run after each transition, in order, and outside of XState: users' machines take steps in them.
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
