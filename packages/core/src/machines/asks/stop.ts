import { fields, text } from "../../base/shape.ts";
import { forgetChild, tell, type Draft } from "../draft.ts";
import type { StopMessage } from "../tell.ts";
import type { Ask, MessageKind } from "./ask.ts";
import type { TaskHost } from "./task.ts";

/** Reports that the actor with the number `key` has stopped, so its task or durable child is no longer needed. */
export interface StopCommand {
  readonly type: "stop";
  readonly key: number;
  readonly reason: string;
}

/** Cancels the task or the durable child with the number `key`. The actor still receives its end. */
export interface CancelCommand {
  readonly type: "cancel";
  readonly key: number;
  readonly reason: string;
}

export const stop: Ask<StopCommand, TaskHost> = {
  type: "stop",
  note(draft, { key, reason }) {
    const id = childOf(draft, key);
    if (id === undefined) return false;
    forgetChild(draft, key);
    tell(draft, id, key, { kind: "stop", reason });
    return true;
  },
  prepare: (host, { key }) => host.withdraw(key),
};

export const cancel: Ask<CancelCommand, TaskHost> = {
  type: "cancel",
  note(draft, { key, reason }) {
    const id = childOf(draft, key);
    if (id !== undefined) tell(draft, id, key, { kind: "stop", reason });
    return id !== undefined;
  },
  conclude: (host, { key, reason }) => host.cancel(key, reason),
};

export const stopped: MessageKind<StopMessage> = {
  kind: "stop",
  shape: fields({ reason: text }),
  fromParent: (hearing, { reason }) => hearing.cancel(`cancelled by its parent: ${reason}`),
};

function childOf(draft: Draft, key: number): string | undefined {
  return draft.children[key]?.id;
}
