// This file holds the tree of a machine's states as XState keeps it, and computes the states that a transition leaves and enters. It follows the
// SCXML algorithm (https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation) as XState 5 implements it, for machines that are in one state of
// each level at a time.

/** The fields of XState's state nodes that `compile` reads. */
export interface StateNode {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly parent?: StateNode | undefined;
  readonly entry: readonly Action[];
  readonly exit: readonly Action[];
  readonly invoke: readonly unknown[];
  readonly output?: unknown;
  readonly initial?: { readonly target?: readonly StateNode[]; readonly actions?: readonly Action[] };
  readonly always?: readonly Transition[];
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
  readonly states: Readonly<Record<string, StateNode>>;
}

export interface Transition {
  readonly source: StateNode;
  readonly target?: readonly StateNode[] | undefined;
  readonly guard?: unknown;
  readonly actions: readonly Action[];
  readonly reenter: boolean;
}

export type Action = string | ((...args: never[]) => unknown) | { readonly type: string; readonly params?: unknown };

/** A state that is entered. `byDefault` marks a target, or the initial state of one, whose own initial transition runs. */
interface Entry {
  readonly node: StateNode;
  readonly byDefault: boolean;
}

/** Returns the states from the root to this one. */
export function pathOf(node: StateNode): StateNode[] {
  return node.parent === undefined ? [node] : [...pathOf(node.parent), node];
}

/** Returns XState's value of the innermost state of a path. */
export function valueOf([, ...path]: readonly StateNode[]): unknown {
  const [first, ...below] = path;
  if (first === undefined) return {};
  return below.length === 0 ? first.key : { [first.key]: valueOf([first, ...below]) };
}

/** Returns the state that a value names, as far down as the value goes. */
export function nodeOf(root: StateNode, value: unknown): StateNode | undefined {
  if (typeof value === "string") return Object.hasOwn(root.states, value) ? root.states[value] : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  const [[key, below] = ["", undefined], ...others] = Object.entries(value);
  if (key === "") return root;
  const child = Object.hasOwn(root.states, key) ? root.states[key] : undefined;
  return child === undefined || others.length > 0 ? undefined : nodeOf(child, below);
}

export function nodesBelow(node: StateNode): StateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesBelow)];
}

/** Returns the states of a path that a transition leaves, innermost first. */
export function leftBy({ source, target, reenter }: Transition, path: readonly StateNode[]): StateNode[] {
  const [to] = target ?? [];
  if (to === undefined) return [];
  const domain = domainOf(source, to, reenter);
  return path
    .filter((node) => domain === undefined || isBelow(node, domain) || (reenter && node === domain && node === source))
    .toReversed();
}

/** Returns the states that a transition enters, outermost first. */
export function enteredBy({ source, target, reenter }: Omit<Transition, "actions">): Entry[] {
  const [to] = target ?? [];
  if (to === undefined) return [];
  const domain = domainOf(source, to, reenter);
  const around = pathOf(to)
    .slice(0, -1)
    .filter((node) => domain === undefined || isBelow(node, domain));
  const isEntered = source !== to || source !== domain || reenter;
  return [
    ...around.map((node) => ({ node, byDefault: false })),
    ...(isEntered ? [to] : []).map((node) => ({ node, byDefault: true })),
    ...initialsOf(to).map((node) => ({ node, byDefault: true })),
  ];
}

/** Returns the states that are entered together with a state. They are its initial state, the initial state of that one, and so on. */
function initialsOf(node: StateNode): StateNode[] {
  const [initial] = node.type === "compound" ? (node.initial?.target ?? []) : [];
  return initial === undefined ? [] : [initial, ...initialsOf(initial)];
}

/** Returns the state within which a transition moves, or `undefined` when the transition leaves the root too. */
function domainOf(source: StateNode, to: StateNode, reenter: boolean): StateNode | undefined {
  if (!reenter && (to === source || isBelow(to, source))) return source;
  const common = pathOf(to)
    .slice(0, -1)
    .findLast((node) => isBelow(source, node));
  if (common !== undefined || reenter) return common;
  return pathOf(source)[0];
}

function isBelow(node: StateNode, above: StateNode): boolean {
  return node.parent !== undefined && (node.parent === above || isBelow(node.parent, above));
}
