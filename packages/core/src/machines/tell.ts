import type { ChildSpec, Ending, StoredEvent } from "./command.ts";

/** A message from one durable actor to another. The sender keeps it until the receiver has stored its consequences. */
export interface Tell {
  /** A number that grows by one with each message of the sender. It identifies a repeated message. */
  readonly seq: number;
  /** The id of the receiving actor. */
  readonly to: string;
  /** The parent's number for the child that sends or receives the message. */
  readonly key: number;
  readonly what: Message;
}

/** The messages between durable actors. `asks/` has a file for each kind. */
export type Message = StartMessage | StopMessage | EventMessage | NewsMessage | EndedMessage;

/** A message to a child that does not exist yet. */
export interface StartMessage {
  readonly kind: "start";
  readonly child: ChildSpec;
}

/** A message to a child that its parent cancels. */
export interface StopMessage {
  readonly kind: "stop";
  readonly reason: string;
}

/** A message to a child or to the parent. */
export interface EventMessage {
  readonly kind: "event";
  readonly event: StoredEvent;
}

/** A message to the parent about the state of a child that the parent follows. */
export interface NewsMessage {
  readonly kind: "news";
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A message to the parent about the end of a child. */
export interface EndedMessage {
  readonly kind: "ended";
  readonly ending: Ending;
}
