import { crc32 } from "node:zlib";

import { withoutRunMark } from "../../base/id.ts";
import { anything, count, fields, flag, id, line, name, numberFrom, optional, text } from "../../base/shape.ts";
import { taskSpecShape } from "../../task/task-shape.ts";
import type { ChildSpec } from "../command.ts";
import { tell } from "../draft.ts";
import { failureOf } from "../failure.ts";
import type { StartMessage } from "../tell.ts";
import type { Ask, MessageKind } from "./ask.ts";

/** Starts a durable actor that has its own record. */
export interface ChildCommand {
  readonly type: "child";
  readonly key: number;
  readonly child: ChildSpec;
}

export const child: Ask<ChildCommand> = {
  type: "child",
  note(draft, { key, child: asked }) {
    const childId = asked.id ?? derivedId(draft.id, key);
    draft.children = { ...draft.children, [key]: { id: childId, machine: asked.machine } };
    const correlationId = draft.correlationId ?? draft.id;
    const { spec } = asked;
    const depth = (draft.parent?.depth ?? 0) + 1;
    const started =
      spec === undefined ? { correlationId, ...asked, depth } : { ...asked, spec: { correlationId, ...spec } };
    tell(draft, childId, key, { kind: "start", child: started });
    return true;
  },
};

export const start: MessageKind<StartMessage> = {
  kind: "start",
  shape: fields({
    child: fields<ChildSpec>({
      id: optional(id),
      machine: name,
      version: optional(text),
      input: anything,
      correlationId: optional(line),
      retentionMs: numberFrom(0, Number.MAX_SAFE_INTEGER),
      spec: optional(taskSpecShape),
      sync: flag,
      depth: optional(count),
    }),
  }),
  undeliverable: (error) => ({ kind: "error", error: failureOf(error) }),
};

const LONGEST_ID = 128;

/**
 * Returns the id of a child whose parent gives it none. The id joins the parent's id and the number of the request. It omits a schedule run's mark,
 * so the children of a run spread over the shards.
 */
function derivedId(parent: string, key: number): string {
  const id = withoutRunMark(parent);
  const derived = `${id}_${key}`;
  if (derived.length <= LONGEST_ID) return derived;
  return `${id.slice(0, LONGEST_ID - 24)}_${crc32(id).toString(16)}_${key}`;
}
