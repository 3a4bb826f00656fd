import type { MachineMeta } from "./machine-meta.ts";
import type { Tell } from "./tell.ts";

/** A record's fields while a turn changes them. */
export type Draft = { -readonly [K in keyof MachineMeta]: MachineMeta[K] };

/** Adds a message to the outbox. */
export function tell(draft: Draft, to: string, key: number, what: Tell["what"]): void {
  draft.sent += 1;
  draft.outbox = [...draft.outbox, { seq: draft.sent, to, key, what }];
}

/** Removes a child that has ended, or that is no longer needed. */
export function forgetChild(draft: Draft, key: number): void {
  const { [key]: child, ...children } = draft.children;
  if (child === undefined) return;
  draft.children = children;
  if (draft.heard[child.id] === undefined || child.id === draft.parent?.id) return;
  const { [child.id]: _, ...heard } = draft.heard;
  draft.heard = heard;
}
