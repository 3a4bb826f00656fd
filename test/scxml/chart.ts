// What the parts of a document need to know of the whole.
import { attribute, elements, requiredAttribute, text, type Element } from "./document.ts";

/** A part of SCXML that XState has no counterpart of, or that needs more than plain data. */
export class Unsupported extends Error {}

export interface Chart {
  readonly root: Element;
  readonly name: string;
  readonly sessionId: string;
  /** The text of a file that the document names. */
  readonly read: (src: string) => string;
  /** The ids of all `<data>`, bound or not. */
  readonly declared: readonly string[];
  /** The id of every state, and of every `<invoke>`. */
  readonly ids: ReadonlyMap<Element, string>;
  readonly lateBinding: boolean;
  /** Every state below the root, in document order. */
  readonly states: readonly Element[];
  stateById(id: string): Element | undefined;
}

const stateTags = ["state", "parallel", "final", "history"];

export const isCompound = (state: Element): boolean =>
  state.localName !== "parallel" && elements(state, "state", "parallel", "final").length > 0;
export const stateElements = (parent: Element): Element[] => elements(parent, ...stateTags);
export const dataElements = (state: Element): Element[] =>
  elements(state, "datamodel").flatMap((model) => elements(model, "data"));

export function createChart(root: Element, read: (src: string) => string, sessionId: string): Chart {
  const ids = new Map<Element, string>();
  const states = statesBelow(root);
  for (const [index, state] of states.entries()) ids.set(state, attribute(state, "id") ?? `(state ${index})`);
  for (const state of states) {
    for (const [index, invoke] of elements(state, "invoke").entries()) {
      ids.set(invoke, attribute(invoke, "id") ?? `${ids.get(state)}.${index}`);
    }
  }
  return {
    root,
    name: attribute(root, "name") ?? "",
    sessionId,
    read,
    declared: [root, ...states].flatMap(dataElements).map((data) => requiredAttribute(data, "id")),
    ids,
    lateBinding: attribute(root, "binding") === "late",
    states,
    stateById: (id) => states.find((state) => ids.get(state) === id),
  };
}

export function scriptSource(script: Element, read: (src: string) => string): string {
  const src = attribute(script, "src");
  return src === undefined ? text(script) : read(src);
}

export function idOf(chart: Chart, element: Element): string {
  const id = chart.ids.get(element);
  if (id === undefined) throw new Error(`<${element.localName}> is no state or invoke of this document`);
  return id;
}

function statesBelow(parent: Element): Element[] {
  return stateElements(parent).flatMap((state) => [state, ...statesBelow(state)]);
}
