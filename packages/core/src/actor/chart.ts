// The tree of states of a machine as XState keeps it, and which of them a transition leaves and enters. By the algorithm of SCXML
// (https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation) as XState 5 has it, for machines that are in one state of each level at a time.

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

/** A state that is entered. By default: as a target or as the initial state of one, so that its own initial transition runs. */
interface Entry {
  readonly node: StateNode;
  readonly byDefault: boolean;
}

/** The states from the root to this one. */
export function pathOf(node: StateNode): StateNode[] {
  return node.parent === undefined ? [node] : [...pathOf(node.parent), node];
}

/** XState's value of the rest in the last state of a path. */
export function valueOf([, ...path]: readonly StateNode[]): unknown {
  const [first, ...below] = path;
  if (first === undefined) return {};
  return below.length === 0 ? first.key : { [first.key]: valueOf([first, ...below]) };
}

/** The state that a value names, as far down as it goes. */
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

/** The states of a path that a transition leaves, the innermost first. */
export function leftBy({ source, target, reenter }: Transition, path: readonly StateNode[]): StateNode[] {
  const [to] = target ?? [];
  if (to === undefined) return [];
  const domain = domainOf(source, to, reenter);
  return path
    .filter((node) => domain === undefined || isBelow(node, domain) || (reenter && node === domain && node === source))
    .toReversed();
}

/** The states that a transition enters, the outermost first. */
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

/** The states that are entered together with a state: its initial one, that one's, and so on. */
function initialsOf(node: StateNode): StateNode[] {
  const [initial] = node.type === "compound" ? (node.initial?.target ?? []) : [];
  return initial === undefined ? [] : [initial, ...initialsOf(initial)];
}

/** The state within which a transition moves; `undefined`: it leaves the root too. */
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
