// Events as XState and Ergon deliver them, and as SCXML names and shows them.

import { documentId } from "./state-ids.ts";

/** The type of the only event processor there is. */
export const SCXML_PROCESSOR = "http://www.w3.org/TR/scxml/#SCXMLEventProcessor";

/** All but `type` is plain data; one without `kind` is external. */
export interface ScxmlEvent {
  readonly type: string;
  readonly kind?: "internal" | "platform";
  readonly data?: unknown;
  readonly sendid?: string;
  readonly invokeid?: string;
  readonly origin?: string;
  /** What a final state, or an actor that is done, answers. */
  readonly output?: unknown;
  readonly actorId?: string;
}

/** The name that SCXML knows an event of XState's by. */
export function eventName({ type }: ScxmlEvent): string {
  return type
    .replace(/^xstate\.done\.actor\./, "done.invoke.")
    .replace(/^xstate\.error\.actor\./, "error.communication.")
    .replace(/^xstate\.done\.state\.(.*)/, (_, id: string) => `done.state.${documentId(id)}`);
}

/** Whether a descriptor of a transition (`a`, `a.b`, `a.*`, `*`) is the event's name or begins it. */
export function matches(descriptor: string, name: string): boolean {
  const prefix = descriptor.replace(/\.\*?$/, "");
  return prefix === "*" || name === prefix || name.startsWith(`${prefix}.`);
}

/** `_event`, or undefined before the first event. */
export function eventVariable(event: ScxmlEvent): Record<string, unknown> | undefined {
  if (event.type === "xstate.init") return undefined;
  const done = event.type.startsWith("xstate.done.");
  return {
    name: eventName(event),
    type: event.kind ?? (event.type.startsWith("xstate.done.state.") ? "platform" : "external"),
    sendid: event.sendid,
    origin: event.origin,
    origintype: event.origin === undefined ? undefined : SCXML_PROCESSOR,
    invokeid: event.invokeid ?? event.actorId,
    data: done ? event.output : event.data,
  };
}
