import { crc32 } from "node:zlib";

import type { Effect } from "../actor/step.ts";
import { withoutRunMark } from "../base/id.ts";
import type { ChildSpec, Command, StoredEvent } from "./command.ts";
import type { MachineMeta, Tell } from "./machine-state.ts";

/** A record's fields while a turn is made of them. */
export type Draft = { -readonly [K in keyof MachineMeta]: MachineMeta[K] };

/** Takes what the actors of a turn asked for into the record, and answers what is to be done once that is stored. */
export function take(draft: Draft, commands: readonly Command[]): Effect[] {
  const effects: Effect[] = [];
  for (const command of commands) {
    switch (command.type) {
      case "child":
        startChild(draft, command.key, command.child);
        break;
      case "stop":
        if (!stopChild(draft, command.key, command.reason)) effects.push({ type: "stop", params: command });
        break;
      case "cancel":
        if (!cancelChild(draft, command.key, command.reason)) effects.push({ type: "cancel", params: command });
        break;
      case "send":
        sendToChild(draft, command.key, command.event);
        break;
      case "parent":
        tellParent(draft, command.event);
        break;
      default:
        effects.push({ type: command.type, params: command });
    }
  }
  return effects;
}

/** Puts a message into the outbox. */
export function tell(draft: Draft, to: string, key: number, what: Tell["what"]): void {
  draft.sent += 1;
  draft.outbox = [...draft.outbox, { seq: draft.sent, to, key, what }];
}

function startChild(draft: Draft, key: number, child: ChildSpec): void {
  const childId = child.id ?? derivedId(draft.id, key);
  draft.children = { ...draft.children, [key]: { id: childId, machine: child.machine } };
  const correlationId = draft.correlationId ?? draft.id;
  const { spec } = child;
  const depth = (draft.parent?.depth ?? 0) + 1;
  const started =
    spec === undefined ? { correlationId, ...child, depth } : { ...child, spec: { correlationId, ...spec } };
  tell(draft, childId, key, { kind: "start", child: started });
}

function stopChild(draft: Draft, key: number, reason: string): boolean {
  const child = draft.children[key];
  if (child === undefined) return false;
  forgetChild(draft, key);
  tell(draft, child.id, key, { kind: "stop", reason });
  return true;
}

function cancelChild(draft: Draft, key: number, reason: string): boolean {
  const child = draft.children[key];
  if (child !== undefined) tell(draft, child.id, key, { kind: "stop", reason });
  return child !== undefined;
}

/** A child that has ended, or is not wanted, is nobody's any more. */
export function forgetChild(draft: Draft, key: number): void {
  const { [key]: child, ...children } = draft.children;
  if (child === undefined) return;
  draft.children = children;
  if (draft.heard[child.id] === undefined || child.id === draft.parent?.id) return;
  const { [child.id]: _, ...heard } = draft.heard;
  draft.heard = heard;
}

function sendToChild(draft: Draft, key: number, event: StoredEvent): void {
  const child = draft.children[key];
  if (child !== undefined) tell(draft, child.id, key, { kind: "event", event });
}

function tellParent(draft: Draft, event: StoredEvent): void {
  const { parent } = draft;
  if (parent === undefined) return;
  if (!event.type.startsWith("xstate.snapshot.")) return tell(draft, parent.id, parent.key, { kind: "event", event });
  // Only the last state counts: an older one that has not left yet goes.
  draft.outbox = draft.outbox.filter(({ what }) => what.kind !== "news");
  const { value, context } = event["snapshot"] as { readonly value: unknown; readonly context: unknown };
  tell(draft, parent.id, parent.key, { kind: "news", fields: { value, context } });
}

const LONGEST_ID = 128;

/** The id of a child whose parent names none: the parent's, and the number under which it asked. Children of a schedule's run are spread over the shards. */
function derivedId(parent: string, key: number): string {
  const id = withoutRunMark(parent);
  const derived = `${id}_${key}`;
  if (derived.length <= LONGEST_ID) return derived;
  return `${id.slice(0, LONGEST_ID - 24)}_${crc32(id).toString(16)}_${key}`;
}
