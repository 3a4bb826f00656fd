import { assign, enqueueActions, sendParent, sendTo, stopChild } from "xstate";
import type { ActionFunction, EventObject, MachineContext, ParameterizedObject, ProvidedActor } from "xstate";

import { ActorTree } from "../machines/tree.ts";
import type { Decision, Order } from "./order.ts";
import { CANCEL_WORK } from "./work.ts";

type Params = ParameterizedObject["params"] | undefined;
type Action<
  C extends MachineContext,
  E extends EventObject,
  P extends Params,
  A extends ParameterizedObject = never,
> = ActionFunction<C, E, E, P, never, A, never, never, never>;
type Of<T extends Order["type"]> = Order & { readonly type: T };

/** The actions that carry out a coordinator's decisions. The coordinator passes them to `setup`. */
export type CoordinatorActions<C extends MachineContext, E extends EventObject> = {
  readonly become: Action<C, E, C>;
  readonly start: Action<C, E, Of<"start">>;
  readonly stop: Action<C, E, Of<"stop">>;
  readonly cancel: Action<C, E, Of<"cancel">>;
  readonly send: Action<C, E, Of<"send">>;
  readonly report: Action<C, E, Of<"report">>;
};

/**
 * The actions of a coordinator whose work is the actor `src`. The actions have names because XState warns of actions that are made while an action
 * runs, and a shard's supervisor steps machines inside an action.
 */
export function coordinatorActions<C extends MachineContext, E extends EventObject>(
  src: string,
): CoordinatorActions<C, E> {
  const start = assign<C, E, Of<"start">, E, ProvidedActor>(({ spawn }, { actor, work }) => {
    spawn(src, { id: actor, input: work });
    return {};
  });
  return {
    become: assign((_, context) => context),
    start: start as CoordinatorActions<C, E>["start"],
    stop: stopChild((_, { actor }) => actor),
    cancel: sendTo(
      (_, { actor }) => actor,
      (_, { reason }) => ({ type: CANCEL_WORK, reason }),
    ),
    send: sendTo(
      (_, { actor }) => actor,
      (_, { event }) => event,
    ),
    report: sendParent((_, { event }) => event),
  };
}

/** An action and its parameters, by the action's name. */
type Asked<C> =
  | { readonly type: "become"; readonly params: C }
  | { [O in Order as O["type"]]: { readonly type: O["type"]; readonly params: O } }[Order["type"]];

/**
 * Makes an action that calls `decide` for an event, replaces the coordinator's context with the decided one, and then carries out the orders in their
 * sequence. `now` returns the time of the turn; `decide` must not call it while the machine enters its first state.
 */
export function decided<C extends MachineContext, E extends EventObject>(
  decide: (context: C, event: E, now: () => number) => Decision<C>,
): Action<C, E, undefined, Asked<C>> {
  return enqueueActions<C, E, undefined, E, never, Asked<C>, never, never, never>(
    ({ context, event, self, enqueue }) => {
      const { context: after, orders } = decide(context, event, () => timeOf(self));
      enqueue({ type: "become", params: after } as Asked<C>);
      for (const order of orders) enqueue({ type: order.type, params: order } as Asked<C>);
    },
  );
}

/** Returns the time of the turn that a coordinator's actor is in, in epoch milliseconds. */
export function timeOf(self: { readonly system: unknown }): number {
  return ActorTree.of(self, "a coordinator").now;
}
