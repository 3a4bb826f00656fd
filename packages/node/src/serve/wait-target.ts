import { InvalidError, type Machine } from "@ergon/core";
import { H, isIn, isMachineState, taskMachine, type ActorState, type WaitTarget } from "@ergon/core/engine";

interface StateNode {
  readonly path: readonly string[];
  readonly type: string;
  readonly tags: readonly string[];
  readonly states: Readonly<Record<string, StateNode>>;
}

/** Tells whether the instance is in the state, or has the tag, that a request waits for. */
export function isMet({ kind, name }: WaitTarget, state: ActorState): boolean {
  if (!isMachineState(state)) return false;
  return kind === "tag" ? state.meta.stateTags.includes(name) : isIn(state.persisted.value, name);
}

/** Throws `InvalidError` if a wait names a state or a tag that the machine does not have, because it would never end. A task has no states. */
export function requireTarget(target: WaitTarget | undefined, machine: Machine): void {
  if (target === undefined) return;
  const { kind, name } = target;
  if (machine === taskMachine) throw noTarget("a task is waited for until it has ended; leave the header out");
  // An instance is never in a history state, which only names another state to enter.
  const nodes = below(machine.logic.root as StateNode).filter(({ type }) => type !== "history");
  const known = kind === "tag" ? nodes.flatMap(({ tags }) => tags) : nodes.map(({ path }) => path.join("."));
  // If an instance is in several states, the whole text is a name too: {a.x, b.y}.
  const parts = /^\{.*\}$/s.test(name) ? name.slice(1, -1).split(", ") : [name];
  if (parts.every((part) => known.includes(part.replaceAll(/[{}]/g, "")))) return;
  const list = known.length === 0 ? "none" : [...new Set(known)].join(", ");
  throw noTarget(`${machine.name}@${machine.version} has no ${kind} "${name}"; it has ${list}`);
}

function noTarget(fault: string): InvalidError {
  const message = `${H.until}: ${fault}`;
  return new InvalidError("INVALID_OPTION", message, {
    issues: [{ field: H.until, code: "INVALID_OPTION", message }],
  });
}

function below({ states }: StateNode): readonly StateNode[] {
  return Object.values(states).flatMap((node) => [node, ...below(node)]);
}
