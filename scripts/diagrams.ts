// Draws the machines into docs/architecture.md, between the marks of each; a test fails when what stands there is stale.
//
//   node scripts/bootstrap.mjs --no-nats-server scripts/diagrams.ts
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { planMachine, scheduleMachine, type Machine } from "@ergon/core";
import { taskMachine } from "@ergon/core/engine";

import { order } from "../examples/machines/order.ts";

type AnyStateMachine = Machine["logic"];
type AnyStateNode = AnyStateMachine["root"];

/** The supervisor is the node's own affair: no entry of its package offers it. */
const supervisor = new URL("../packages/node/src/supervisor/supervisor.machine.ts", import.meta.url);
const { supervisorMachine } = (await import(supervisor.href)) as { readonly supervisorMachine: AnyStateMachine };
const machines: Readonly<Record<string, AnyStateMachine>> = {
  task: taskMachine.logic,
  supervisor: supervisorMachine,
  plan: planMachine.logic,
  schedule: scheduleMachine.logic,
  order,
};

const file = new URL("../docs/architecture.md", import.meta.url);
const marked = /(<!-- diagram: (\w+) -->\n)[\s\S]*?(<!-- end of diagram -->)/g;

/** A machine as a Mermaid state diagram. Compound states are drawn flat: what holds in any of their states leaves from one box. */
function drawMachine(machine: AnyStateMachine): string {
  const lines = ["stateDiagram-v2", "  direction LR", `  [*] --> ${labelOf(firstOf(machine.root))}`];
  const edges = new Map<string, string[]>();
  visit(machine.root, edges, lines);
  for (const [edge, labels] of edges) {
    const unique = [...new Set(labels)].filter((label) => label !== "");
    lines.push(`  ${edge}${unique.length === 0 ? "" : `: ${unique.join(", ")}`}`);
  }
  return lines.join("\n");
}

/** A text with every marked block drawn anew. */
export function redraw(text: string): string {
  return text.replace(marked, (block, begin: string, name: string, end: string) => {
    const machine = machines[name];
    return machine === undefined ? block : `${begin}\n\`\`\`mermaid\n${drawMachine(machine)}\n\`\`\`\n\n${end}`;
  });
}

function visit(node: AnyStateNode, edges: Map<string, string[]>, lines: string[]): void {
  const isCompound = node.type === "compound" && node.parent !== undefined;
  if (isCompound) lines.push(`  state "in any state of ${node.key}" as ${labelOf(node)}`);
  for (const { event, transition } of transitionsOf(node)) {
    for (const target of transition.target ?? []) {
      const goal = firstOf(target);
      const edge = `${labelOf(node)} --> ${labelOf(goal)}`;
      edges.set(edge, [...(edges.get(edge) ?? []), event]);
    }
  }
  for (const child of Object.values(node.states)) visit(child, edges, lines);
  if (node.type === "final") {
    const edge = `${labelOf(node)} --> [*]`;
    edges.set(edge, []);
  }
}

function transitionsOf(node: AnyStateNode) {
  const named = [...node.transitions].flatMap(([event, transitions]) =>
    transitions.map((transition) => ({ event: nameOf(event), transition })),
  );
  const always = (node.always ?? []).map((transition) => ({ event: guardOf(transition.guard), transition }));
  return [...named, ...always];
}

/** `xstate.after.queue.task.live.ready` is the timer `queue`; `xstate.done.actor.0.order.paying` the end of what the state has invoked. */
function nameOf(event: string): string {
  const [, kind, name = ""] = /^xstate\.(after|done|error)\.([^.]+)\./.exec(event) ?? [];
  if (kind === undefined) return event;
  return kind === "after" ? `after ${name}` : kind;
}

function guardOf(guard: unknown): string {
  return typeof guard === "string" ? `if ${guard}` : "";
}

/** Where a machine that enters this state comes to rest at first. */
function firstOf(node: AnyStateNode): AnyStateNode {
  const [target] = node.type === "compound" ? (node.initial.target ?? []) : [];
  return target === undefined ? node : firstOf(target);
}

function labelOf(node: AnyStateNode): string {
  return node.key;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const before = readFileSync(file, "utf8");
  const after = redraw(before);
  if (after === before) console.log("the diagrams are up to date");
  else writeFileSync(file, after);
}
