import type { ParentLink } from "../actor/parent-link.ts";
import { isMap } from "../base/msgpack.ts";
import {
  all,
  byKey,
  byTag,
  count,
  fields,
  flag,
  id,
  line,
  list,
  map,
  name,
  numberFrom,
  numeral,
  oneOf,
  optional,
  text,
  time,
  tuple,
  type Shape,
} from "../base/shape.ts";
import { failureShape } from "../task/task-shape.ts";
import { messageShapes } from "./asks/asks.ts";
import type { MachineMeta } from "./machine-meta.ts";
import type { Tell } from "./tell.ts";

// This is the shape of a stored instance. docs/protocol.md, "The record", describes it in words.

const duration = numberFrom(0, Number.MAX_SAFE_INTEGER);
const what: Shape = byTag("kind", messageShapes);

/** Accepts the alarm messages that 0.1.0 stored. No actor handles them now. */
const told: Shape = fields<Tell>({ seq: count, to: id, key: count, what });
const tell: Shape = (value) =>
  isMap(value) && isMap(value["what"]) && value["what"]["kind"] === "alarm" ? undefined : told(value);

const parent: Shape = fields<ParentLink>({ id, key: count, sync: flag, depth: optional(count) });

const finite = numberFrom(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
const seenRange: Shape = tuple(text, finite, finite, finite);

/** The fields that a record keeps of an instance beside its snapshot and its timers. */
export const metaShape: Shape = fields<MachineMeta>({
  id,
  status: oneOf("running", "succeeded", "failed", "cancelled"),
  startedAt: time,
  updatedAt: time,
  endedAt: optional(time),
  reason: optional(text),
  failure: optional(failureShape),
  cancelTaken: optional(flag),
  correlationId: optional(line),
  tags: optional(list(text)),
  retentionMs: duration,
  parent: optional(parent),
  stateTags: list(text),
  origin: optional(id),
  fingerprint: count,
  nextKey: count,
  children: byKey(fields({ id, machine: name }), numeral),
  sent: count,
  outbox: list(tell),
  heard: byKey(count),
  seen: list((value) => (typeof value === "string" ? undefined : seenRange(value))),
  seenAge: optional(tuple(finite, time)),
  answered: optional(list(tuple(count, count, count))),
  history: list(tuple(time, text, optional(text))),
});

const stateValue: Shape = (value) => (typeof value === "string" ? undefined : byKey(stateValue)(value));

/** An inner actor. The check covers a machine's whole snapshot and a durable actor's number; it leaves the snapshots of other logic unread. */
const actor: Shape = all(
  map,
  fields({
    status: oneOf("active", "done", "error", "stopped"),
    key: optional(count),
    historyValue: optional(byKey(list(fields({ id: text })))),
    children: optional(byKey((value) => innerActor(value))),
  }),
  (snapshot) => ("children" in (snapshot as object) ? machine(snapshot) : undefined),
);

const machine: Shape = fields({ value: stateValue, context: map });

const innerActor: Shape = fields({
  src: text,
  snapshot: actor,
  systemId: optional(text),
  syncSnapshot: optional(flag),
  id: optional(text),
  gone: optional(flag),
});

/** An instance's machine and its inner actors. Restoring the instance shows whether its states and actors are those of the definition. */
export const treeShape: Shape = all(actor, machine);
