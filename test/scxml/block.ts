// A block of executable content as one action of XState: it ends at its first error, which becomes an event.
import { setup, stateIn } from "xstate";

import type { Chart } from "./chart.ts";
import { createRealm, plainEvent, ScxmlError, type Realm, type Variables } from "./datamodel.ts";
import type { ScxmlEvent } from "./events.ts";
import { stateReference } from "./state-ids.ts";

/** What a machine made from a document keeps; plain data. */
export interface ScxmlContext {
  readonly variables: Variables;
  /** Data whose values came with the input. */
  readonly given: readonly string[];
  /** How many ids of sends were made up. */
  readonly sends: number;
  /** States whose data are bound, where binding is late. */
  readonly bound: readonly string[];
  /** What final states answer, by their ids. */
  readonly donedata: Readonly<Record<string, unknown>>;
  /** What invoked machines are started with, by their ids. */
  readonly inputs: Readonly<Record<string, ScxmlInput>>;
  /** The id that this machine was invoked under, where it was. */
  readonly invokeid?: string;
}

/** What a machine made from a document can be started with. */
export interface ScxmlInput {
  readonly invokeid: string;
  /** Values for the document's own data. */
  readonly values: Variables;
}

/** What executable content works with while its block runs. */
export interface Run {
  readonly chart: Chart;
  readonly event: ScxmlEvent;
  readonly realm: Realm;
  readonly context: Omit<ScxmlContext, "variables">;
  change(change: Partial<ScxmlContext>): void;
  /** Puts an event into the internal queue. */
  raise(event: ScxmlEvent): void;
  /** Puts an event into this machine's external queue, after `delay` milliseconds. */
  later(event: ScxmlEvent, id: string, delay: number): void;
  /** Sends to `#_parent`, or to a machine that was invoked, `#_` and its id. */
  sendTo(target: string, event: ScxmlEvent, id: string, delay: number | undefined): void;
  cancel(id: string): void;
}

/** Throws `ScxmlError`. */
export type Statement = (run: Run) => void;

const { enqueueActions } = setup({
  types: {} as { context: ScxmlContext; events: ScxmlEvent; input: ScxmlInput | undefined },
});

export function block(chart: Chart, statements: readonly Statement[]): ReturnType<typeof enqueueActions> {
  return enqueueActions(({ context, event, enqueue, check }) => {
    let realm: Realm | undefined;
    let changed: Partial<ScxmlContext> = {};
    const isIn = (id: string): boolean => check(stateIn(stateReference(id)) as never);

    const run: Run = {
      chart,
      event,
      get realm() {
        return (realm ??= createRealm(chart, context.variables, event, isIn));
      },
      get context() {
        return { ...context, ...changed };
      },
      change: (change) => {
        changed = { ...changed, ...change };
      },
      raise: (raised) => enqueue.raise(raised),
      later: (sent, id, delay) => enqueue.raise(sent, { id, delay }),
      sendTo: (target, sent, id, delay) => enqueue.sendTo(target, sent, delay === undefined ? { id } : { id, delay }),
      cancel: (id) => enqueue.cancel(id),
    };

    perform(run, statements);
    const variables = realm === undefined ? {} : { variables: realm.variables() };
    enqueue.assign({ ...changed, ...variables });
  });
}

/** Runs statements until one fails, and then raises its error. */
export function perform(run: Run, statements: readonly Statement[]): void {
  try {
    for (const statement of statements) statement(run);
  } catch (error) {
    if (!(error instanceof ScxmlError)) throw error;
    const { kind, sendid, place, message } = error;
    run.raise(plainEvent({ type: kind, kind: "platform", sendid, data: { ...place, reason: message } }));
  }
}
