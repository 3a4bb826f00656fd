import type { MachineMeta } from "./machine-meta.ts";
import type { Tell } from "./tell.ts";

/** A record's fields while a turn is made of them. */
export type Draft = { -readonly [K in keyof MachineMeta]: MachineMeta[K] };

/** Puts a message into the outbox. */
export function tell(draft: Draft, to: string, key: number, what: Tell["what"]): void {
  draft.sent += 1;
  draft.outbox = [...draft.outbox, { seq: draft.sent, to, key, what }];
}

/** Forgets a child that has ended, or that nobody wants any more. */
export function forgetChild(draft: Draft, key: number): void {
  const { [key]: child, ...children } = draft.children;
  if (child === undefined) return;
  draft.children = children;
  if (draft.heard[child.id] === undefined || child.id === draft.parent?.id) return;
  const { [child.id]: _, ...heard } = draft.heard;
  draft.heard = heard;
}
