import { all, fields, map, text } from "../../base/shape.ts";
import type { StoredEvent } from "../command.ts";
import { tell } from "../draft.ts";
import type { EventMessage, NewsMessage } from "../tell.ts";
import type { Ask, MessageKind } from "./ask.ts";

/** Sends an event to a durable child. */
export interface SendCommand {
  readonly type: "send";
  readonly key: number;
  readonly event: StoredEvent;
}

/** Sends an event, or the child's state, to the durable parent. */
export interface ParentCommand {
  readonly type: "parent";
  readonly event: StoredEvent;
}

export const send: Ask<SendCommand> = {
  type: "send",
  note(draft, { key, event }) {
    const child = draft.children[key];
    if (child !== undefined) tell(draft, child.id, key, { kind: "event", event });
    return true;
  },
};

export const toParent: Ask<ParentCommand> = {
  type: "parent",
  note(draft, { event }) {
    const { parent } = draft;
    if (parent === undefined) return true;
    if (!event.type.startsWith("xstate.snapshot.")) {
      tell(draft, parent.id, parent.key, { kind: "event", event });
      return true;
    }
    // The new state replaces an older one that has not been sent yet.
    draft.outbox = draft.outbox.filter(({ what }) => what.kind !== "news");
    const { value, context } = event["snapshot"] as { readonly value: unknown; readonly context: unknown };
    tell(draft, parent.id, parent.key, { kind: "news", fields: { value, context } });
    return true;
  },
};

export const sent: MessageKind<EventMessage> = {
  kind: "event",
  shape: fields({ event: all(map, fields<{ type: string }>({ type: text })) }),
  fromParent: ({ at, actors }, { event }) => actors.send(at, event),
  fromChild: ({ at, actors }, { event }, key) => actors.fromChild(at, key, event),
};

export const news: MessageKind<NewsMessage> = {
  kind: "news",
  shape: fields({ fields: map }),
  fromChild: ({ at, actors }, { fields: told }, key) => actors.news(at, key, told),
};
