// An SCXML document as a machine of XState v5, whose context is plain data.
import { createMachine, type AnyStateMachine } from "xstate";

import { block, type ScxmlContext, type ScxmlInput } from "./block.ts";
import { createChart, dataElements, idOf, isCompound, stateElements, Unsupported, type Chart } from "./chart.ts";
import { bindData, bindLate, prepareDonedata, prepareInvoke, runScripts } from "./data.ts";
import { attribute, elements, parseDocument, words, type Element } from "./document.ts";
import { statements } from "./executable.ts";
import { guardOf } from "./guard.ts";
import { invokedDocument } from "./invoke.ts";
import { stateId, stateReference } from "./state-ids.ts";

type Config = Record<string, unknown>;

/**
 * Throws `Unsupported` for what XState has no counterpart of.
 *
 * @param read answers the text of a file that the document names.
 */
export function toMachine(document: string, read: (src: string) => string): AnyStateMachine {
  return machineOf(parseDocument(document), read, "session");
}

/** A configuration's atomic states, by the ids of the document. */
export function atomicStates(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Object.entries(value as Record<string, unknown>).flatMap(([key, inner]) => {
    const below = atomicStates(inner);
    return below.length === 0 ? [key] : below;
  });
}

function machineOf(root: Element, read: (src: string) => string, sessionId: string): AnyStateMachine {
  const chart = createChart(root, read, sessionId);
  const actors: Record<string, AnyStateMachine> = {};
  const config = {
    id: "(document)",
    context: ({ input }: { input?: ScxmlInput }): ScxmlContext => ({
      ...givenData(chart, input),
      sends: 0,
      bound: [],
      donedata: {},
      inputs: {},
      ...(input === undefined ? {} : { invokeid: input.invokeid }),
    }),
    entry: block(chart, [bindData(chart, chart.lateBinding ? [root] : [root, ...chart.states]), runScripts(chart)]),
    output: ({ event }: { event: { output?: unknown } }) => event.output,
    ...children(root, chart, "(document)"),
  };
  for (const invoke of chart.states.flatMap((state) => elements(state, "invoke"))) {
    const id = idOf(chart, invoke);
    const invoked = invokedDocument(invoke, chart);
    actors[id] = machineOf(invoked, read, `${sessionId}.${id}`);
  }
  return createMachine(config as never, { actors } as never) as AnyStateMachine;
}

/** Only what the document declares at its top can be given. */
function givenData(chart: Chart, input: ScxmlInput | undefined): Pick<ScxmlContext, "variables" | "given"> {
  const declared = dataElements(chart.root).map((data) => attribute(data, "id"));
  const given = Object.entries(input?.values ?? {}).filter(([name]) => declared.includes(name));
  return { variables: Object.fromEntries(given), given: given.map(([name]) => name) };
}

function stateConfig(state: Element, chart: Chart): Config {
  const id = idOf(chart, state);
  const blocks = (tag: string) => elements(state, tag).map((element) => block(chart, statements(element, chart)));
  const invokes = elements(state, "invoke");
  const donedata = elements(state, "donedata");
  const late = chart.lateBinding ? [block(chart, [bindLate(chart, state)])] : [];
  const transitions = elements(state, "transition");
  const parts = {
    id: stateId(id),
    entry: [
      ...late,
      ...blocks("onentry"),
      ...donedata.map((element) => block(chart, [prepareDonedata(id, element)])),
      ...invokes.map((invoke) => block(chart, [prepareInvoke(idOf(chart, invoke), invoke)])),
    ],
    exit: blocks("onexit"),
    invoke: invokes.map((invoke) => ({
      id: idOf(chart, invoke),
      src: idOf(chart, invoke),
      input: ({ context }: { context: ScxmlContext }) => context.inputs[idOf(chart, invoke)],
    })),
    always: transitions.filter((transition) => !named(transition)).map((transition) => edge(transition, state, chart)),
    // One list for all events, since XState would look at longer names first, and SCXML at what stands first.
    on: { "*": transitions.filter(named).map((transition) => edge(transition, state, chart)) },
  };
  switch (state.localName) {
    case "final":
      return {
        id: parts.id,
        type: "final",
        entry: parts.entry,
        exit: parts.exit,
        ...(donedata.length > 0 && {
          output: ({ context }: { context: ScxmlContext }) => context.donedata[id],
        }),
      };
    case "history":
      return history(state, chart);
    case "parallel":
      return { ...parts, ...children(state, chart, id), type: "parallel", initial: undefined };
    default:
      return { ...parts, ...children(state, chart, id) };
  }
}

const named = (transition: Element): boolean => attribute(transition, "event") !== undefined;

function edge(transition: Element, source: Element, chart: Chart): Config {
  const targets = words(transition, "target");
  return {
    ...(targets.length > 0 && { target: targets.map(stateReference), reenter: !isInternal(transition, source, chart) }),
    guard: guardOf(transition, chart),
    actions: block(chart, statements(transition, chart)),
  };
}

/** An internal transition does not leave its source, if that is compound and holds all targets. */
function isInternal(transition: Element, source: Element, chart: Chart): boolean {
  return (
    attribute(transition, "type") === "internal" &&
    isCompound(source) &&
    words(transition, "target").every((id) => isBelow(chart.stateById(id), source))
  );
}

function isBelow(element: Element | undefined, ancestor: Element): boolean {
  for (let parent = element?.parentNode; parent; parent = parent.parentNode) if (parent === ancestor) return true;
  return false;
}

function children(parent: Element, chart: Chart, parentId: string): Config {
  const inner = stateElements(parent);
  if (inner.length === 0) return {};
  const states = Object.fromEntries(inner.map((state) => [idOf(chart, state), stateConfig(state, chart)]));
  if (parent.localName === "parallel") return { states };

  const [element] = elements(parent, "initial").flatMap((initial) => elements(initial, "transition"));
  const targets = element === undefined ? words(parent, "initial") : words(element, "target");
  const actions = element === undefined ? [] : [block(chart, statements(element, chart))];
  const [first] = inner.filter((state) => state.localName !== "history");
  const [target = first === undefined ? "" : idOf(chart, first), ...more] = targets;
  if (more.length === 0 && states[target] !== undefined) return { states, initial: { target, actions } };

  // XState starts in a child only: so one is made that leaves for the targets at once.
  const start = `(initial of ${parentId})`;
  const always = { target: targets.map(stateReference), actions };
  return { states: { ...states, [start]: { id: stateId(start), always } }, initial: start };
}

function history(state: Element, chart: Chart): Config {
  const [transition] = elements(state, "transition");
  if (transition !== undefined && elements(transition).length > 0) {
    throw new Unsupported("XState has no actions on the default transition of a history state");
  }
  const targets = transition === undefined ? [] : words(transition, "target");
  return {
    id: stateId(idOf(chart, state)),
    type: "history",
    history: attribute(state, "type") ?? "shallow",
    ...(targets.length > 0 && { target: targets.map(stateReference) }),
  };
}
