import { H, InvalidError, isMachineState, type ActorState, type Message } from "@ergon/core";

interface StateNode {
  readonly path: readonly string[];
  readonly tags: readonly string[];
  readonly states: Readonly<Record<string, StateNode>>;
}

/** Throws `InvalidError` when a wait is for a state or a tag that the instance's machine does not have: it would never end. */
export function requirePlace(message: Message, state: ActorState): void {
  const [, kind, name = ""] = /^(state|tag):(.+)$/.exec(message.header(H.until) ?? "") ?? [];
  if (kind === undefined || !isMachineState(state)) return;
  const { machine } = state;
  const nodes = below(machine.logic.root as StateNode);
  const known = kind === "tag" ? nodes.flatMap(({ tags }) => tags) : nodes.map(({ path }) => path.join("."));
  // Of several states at once the whole text is a name too: {a.x, b.y}.
  if (known.includes(name) || name.startsWith("{")) return;
  const list = known.length === 0 ? "none" : [...new Set(known)].join(", ");
  const fault = `${H.until}: ${machine.name}@${machine.version} has no ${kind} "${name}"; it has ${list}`;
  throw new InvalidError("INVALID_OPTION", fault, {
    issues: [{ field: H.until, code: "INVALID_OPTION", message: fault }],
  });
}

function below({ states }: StateNode): readonly StateNode[] {
  return Object.values(states).flatMap((node) => [node, ...below(node)]);
}
